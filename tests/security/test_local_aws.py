"""Who may use the embedded AWS: programs with the account's secret key. No web page, and nobody who guesses."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import select
import socket
import urllib.error
import urllib.request
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_agentcore.admin_client import EmulatorClock, FaultInjector, LiveSessions
from local_agentcore.settings import ADMIN_TOKEN_VARIABLE, AUTHORIZER_TOKEN_VARIABLE
from local_aws import control
from local_aws.settings import StateDirectory

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from local_aws.running_instance import RunningInstance

OPERATIONS = {
    "sts": "get_caller_identity",
    "s3": "list_buckets",
    "iam": "list_roles",
    "cloudformation": "list_stacks",
    "lambda": "list_functions",
    "stepfunctions": "list_state_machines",
    "ssm": "describe_parameters",
    "cloudwatch": "list_metrics",
    "logs": "describe_log_groups",
}
REFUSED = {
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "UnrecognizedClientException",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningInstance]:
    state = StateDirectory(tmp_path_factory.mktemp("aws"))
    yield control.start(state)[0]
    control.stop(state)


def client(
    running: RunningInstance, service: str, key: str | None = None, secret: str | None = None, **config: Any
) -> Any:
    session = boto3.Session(key or running.access_key_id, secret or running.secret_access_key, None, running.region)
    return session.client(service, endpoint_url=running.url, config=Config(**config))  # pyright: ignore


def answer(url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    """Status and body; with a Host header only the connection goes to the address of `url`."""
    try:
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as got:  # noqa: S310 - loopback
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def health_addresses(running: RunningInstance) -> list[str]:
    return [f"{running.url}/_ministack/health", f"{running.agentcore_url}/_local/health"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "example.com"},
        {"Host": "127.0.0.1"},
        {"Host": "bucket.localhost:80"},
    ],
)
def test_a_web_page_is_refused_by_both_endpoints_whatever_it_asks(
    running: RunningInstance, headers: dict[str, str]
) -> None:
    for address in health_addresses(running):
        status, body = answer(address, headers)
        assert status == 403
        assert next(iter(headers)).lower() in json.loads(body)["message"].lower()


def test_both_endpoints_answer_to_their_two_names(running: RunningInstance) -> None:
    for address in health_addresses(running):
        port = urlsplit(address).port
        for name in ("127.0.0.1", "localhost"):
            assert answer(address, {"Host": f"{name}:{port}"})[0] == 200


@pytest.mark.parametrize("service", OPERATIONS)
def test_a_key_without_its_secret_is_refused_and_the_roots_own_admitted(running: RunningInstance, service: str) -> None:
    for key in (running.access_key_id, "test", running.account, "AKIAGUESSED000000000"):
        with pytest.raises(ClientError) as refused:
            getattr(client(running, service, key, "wrong"), OPERATIONS[service])()
        assert refused.value.response.get("Error", {}).get("Code") in REFUSED
    getattr(client(running, service), OPERATIONS[service])()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/"), ("GET", "/bucket"), ("POST", "/_ministack/config"), ("POST", "/_ministack/reset")],
)
def test_what_is_not_signed_is_refused(running: RunningInstance, method: str, path: str) -> None:
    assert answer(running.url + path, {}, method)[0] == 403


def test_another_algorithm_does_not_pass_for_a_signature(running: RunningInstance) -> None:
    scope = f"{running.access_key_id}/20260101/us-east-1/sts/aws4_request"
    for algorithm in ("AWS4-FORGED", "AWS4-ECDSA-P256-SHA256", "Bearer"):
        header = f"{algorithm} Credential={scope}, SignedHeaders=host, Signature=0"
        assert answer(running.url, {"Authorization": header, "X-Amz-Date": "20260101T000000Z"}, "POST")[0] in (400, 403)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_is_good_for_what_it_was_signed_for_alone(running: RunningInstance, version: str) -> None:
    s3 = client(running, "s3")
    s3.create_bucket(Bucket=f"signed-{version}")
    s3.put_object(Bucket=f"signed-{version}", Key="a b/c+d.txt", Body=b"1")
    signer = client(running, "s3", signature_version=version)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": f"signed-{version}", "Key": "a b/c+d.txt"})
    assert answer(url, {}) == (200, "1")
    assert answer(url.replace("c%2Bd", "other"), {})[0] == 403
    forged = client(running, "s3", running.access_key_id, "wrong", signature_version=version)
    assert answer(forged.generate_presigned_url("list_buckets"), {})[0] == 403


def test_the_secret_of_a_functions_session_cannot_be_told_from_names(running: RunningInstance) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", "import os\ndef handler(event, context): return dict(os.environ)")
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client(running, "iam").create_role(RoleName="r", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    functions = client(running, "lambda")
    arn = functions.create_function(
        FunctionName="f", Runtime="python3.11", Handler="index.handler", Role=role, Code={"ZipFile": archive.getvalue()}
    )["FunctionArn"]
    environment = json.load(functions.invoke(FunctionName="f")["Payload"])
    digest = hashlib.sha256(f"{arn}:{role}".encode()).hexdigest()
    guess = hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    assert environment["AWS_SECRET_ACCESS_KEY"] != guess
    session = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        environment["AWS_SESSION_TOKEN"],
        running.region,
    )
    assert ":assumed-role/r/f" in session.client("sts", endpoint_url=running.url).get_caller_identity()["Arn"]


QUESTION = {"role": "arn:aws:iam::123456789012:role/none", "interpreter": "arn:aws:x:::y", "session": "s"}


def token_of(running: RunningInstance) -> str:
    """The authority's token, which a process of the same user can read of the emulator that got it."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    for child in children:
        for variable in Path(f"/proc/{child}/environ").read_text().split("\0"):
            if variable.startswith(f"{AUTHORIZER_TOKEN_VARIABLE}="):
                return variable.partition("=")[2]
    raise LookupError(AUTHORIZER_TOKEN_VARIABLE)


def test_what_the_emulator_may_ask_nobody_else_may(running: RunningInstance) -> None:
    body = json.dumps(QUESTION).encode()
    right = f"Bearer {token_of(running)}"
    credentials = f"{running.url}/_local/credentials"
    assert answer(credentials, {"Authorization": right}, "POST", body) == (
        200,
        json.dumps({"refused": f"There is no role {QUESTION['role']}"}),
    )
    for wrong in ({}, *({"Authorization": value} for value in ("Bearer ", "Bearer x", right[:-1], right.lower()))):
        for path in ("credentials", "authorize", "assumable", "../_local/credentials", "credentials/", "%63redentials"):
            assert answer(f"{running.url}/_local/{path}", wrong, "POST", body)[0] in (400, 403), (path, wrong)


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer x", ""])
def test_a_guessed_token_opens_no_interpreter(running: RunningInstance, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    status, body = answer(f"{running.agentcore_url}/code-interpreters", headers, "POST")
    assert (status, "codeInterpreterSummaries" in body) == (403, False)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("bucket", ["clusters", "restapis", "latest", "2015-03-31"])
def test_a_url_that_is_presigned_for_s3_opens_no_other_service(
    running: RunningInstance, version: str, bucket: str
) -> None:
    client(running, "s3").create_bucket(Bucket="plain-bucket")
    client(running, "s3").put_object(Bucket="plain-bucket", Key="functions", Body=b"content")
    s3 = client(running, "s3", signature_version=version)
    plain = s3.generate_presigned_url("get_object", Params={"Bucket": "plain-bucket", "Key": "functions"})
    assert answer(plain, {}) == (200, "content")
    astray = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "functions"})
    assert answer(astray, {})[0] == 403


# Bodies: MiniStack holds them in memory, and one process serves everybody

MEBIBYTE = 1024 * 1024


def put_endlessly(running: RunningInstance, path: str, headers: Mapping[str, str], most: int) -> tuple[int, str]:
    """Sends chunks of a mebibyte until the other end closes, or so many bytes; returns the answer, 0 without one."""
    where = urlsplit(running.url)
    with socket.create_connection((where.hostname, where.port), 60) as connection:
        lines = {"Host": where.netloc, "Transfer-Encoding": "chunked", "Connection": "close", **headers}
        head = [f"PUT {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        chunk = b"%x\r\n" % MEBIBYTE + bytes(MEBIBYTE) + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(most // MEBIBYTE):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(chunk)
            else:
                connection.sendall(b"0\r\n\r\n")
        reader = connection.makefile("rb")
        with contextlib.suppress(ConnectionError):
            status = reader.readline()
            return int(status.split()[1]), reader.read().decode()
    return 0, ""


def most_memory(running: RunningInstance) -> dict[str, int]:
    """The bytes that each of its processes has had at most since this was last asked."""
    most: dict[str, int] = {}
    for child in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
        text = Path(f"/proc/{child}/status").read_text()
        most[child] = int(text.partition("VmHWM:")[2].split()[0]) * 1024
        Path(f"/proc/{child}/clear_refs").write_text("5")  # begins anew from what it has now (proc(5))
    return most


@pytest.mark.parametrize("key", ["AKIAGUESSED000000000", "the root's"])
def test_a_body_is_not_kept_for_who_has_only_made_a_signature_up(running: RunningInstance, key: str) -> None:
    key = running.access_key_id if key == "the root's" else key
    now = datetime.now(UTC)
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/{now:%Y%m%d}/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
    }
    most_memory(running)
    before = most_memory(running)
    status, body = put_endlessly(running, "/bucket/key", headers, 200 * MEBIBYTE)
    assert status == 403, body
    after = most_memory(running)
    assert [child for child in before if after[child] - before[child] > 40 * MEBIBYTE] == []


def test_a_body_has_a_limit(running: RunningInstance) -> None:
    s3 = client(running, "s3")
    s3.create_bucket(Bucket="large")
    url = client(running, "s3", signature_version="s3v4").generate_presigned_url(
        "put_object", Params={"Bucket": "large", "Key": "key"}
    )
    path = url.removeprefix(running.url)
    assert put_endlessly(running, path, {}, 2 * MEBIBYTE)[0] == 200
    status, body = put_endlessly(running, path, {}, 270 * MEBIBYTE)
    assert (status, "<Code>EntityTooLarge</Code>" in body, "256 MiB" in body) == (413, True, True)
    assert s3.head_object(Bucket="large", Key="key")["ContentLength"] == 2 * MEBIBYTE


def test_what_needs_no_signature_takes_next_to_no_body(running: RunningInstance) -> None:
    path = "/_ministack/cfn-response/guessed"
    assert put_endlessly(running, path, {}, MEBIBYTE)[0] == 200
    assert put_endlessly(running, path, {}, 2 * MEBIBYTE)[0] == 413


@pytest.mark.parametrize("path", ["/_ministack/healthy", "/_ministack/health/x", "/_ministack/health%2Fx"])
def test_beside_the_health_nothing_is_open(running: RunningInstance, path: str) -> None:
    assert answer(running.url + path, {})[0] == 403


STEERING = [
    *(("GET", "faults"), ("PUT", "faults"), ("DELETE", "faults"), ("GET", "clock"), ("POST", "clock")),
    *(("GET", "sessions"), ("DELETE", "sessions/x")),
]


@pytest.mark.parametrize(("method", "path"), STEERING)
def test_who_steers_the_emulator_needs_the_token_for_it(running: RunningInstance, method: str, path: str) -> None:
    body = {"PUT": b'{"rules": []}', "POST": b'{"advance_seconds": 0}'}.get(method)
    address, right = f"{running.agentcore_url}/_local/{path}", f"Bearer {running.steering_token}"
    for wrong in ("", "Bearer ", "Bearer None", right[:-1], right.lower(), f"Bearer {token_of(running)}"):
        status, said = answer(address, {"Authorization": wrong} if wrong else {}, method, body)
        assert (status, ADMIN_TOKEN_VARIABLE in said) == (403, True), wrong
    assert answer(address, {"Authorization": right}, method, body)[0] == 200


def test_python_steers_with_the_token_of_the_environment(
    running: RunningInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(PermissionError, match=ADMIN_TOKEN_VARIABLE):
        FaultInjector(running.agentcore_url).clear()
    monkeypatch.setenv(ADMIN_TOKEN_VARIABLE, running.environment()[ADMIN_TOKEN_VARIABLE])
    FaultInjector(running.agentcore_url).clear()
    EmulatorClock(running.agentcore_url).now()
    sessions = LiveSessions(running.agentcore_url)
    sessions.end("x/../../faults?a b")  # nothing of this name lives
    assert sessions.ids() == set()


def test_an_order_has_a_limit(running: RunningInstance) -> None:
    address, token = f"{running.agentcore_url}/_local/faults", {"Authorization": f"Bearer {running.steering_token}"}
    plan = b'{"rules": []}'
    assert answer(address, token, "PUT", plan.ljust(MEBIBYTE))[0] == 200
    assert answer(address, token, "PUT", plan.ljust(MEBIBYTE + 1))[0] == 413
