"""The embedded AWS accepts programs with the account's secret key. It refuses web pages and guessed credentials."""

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


def send(url: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None) -> tuple[int, str]:
    """Returns status and body. A Host header changes the request, not the address of the connection."""
    try:
        request = urllib.request.Request(url, body, dict(headers), method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def health_urls(running: RunningInstance) -> list[str]:
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
def test_both_endpoints_refuse_requests_of_web_pages(running: RunningInstance, headers: dict[str, str]) -> None:
    for address in health_urls(running):
        status, body = send(address, headers)
        assert status == 403
        assert next(iter(headers)).lower() in json.loads(body)["message"].lower()


def test_both_endpoints_accept_their_two_host_names(running: RunningInstance) -> None:
    for address in health_urls(running):
        port = urlsplit(address).port
        for name in ("127.0.0.1", "localhost"):
            assert send(address, {"Host": f"{name}:{port}"})[0] == 200


@pytest.mark.parametrize("service", OPERATIONS)
def test_access_key_with_a_wrong_secret_is_refused(running: RunningInstance, service: str) -> None:
    for key in (running.access_key_id, "test", running.account, "AKIAGUESSED000000000"):
        with pytest.raises(ClientError) as refused:
            getattr(client(running, service, key, "wrong"), OPERATIONS[service])()
        assert refused.value.response.get("Error", {}).get("Code") in REFUSED
    getattr(client(running, service), OPERATIONS[service])()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/"), ("GET", "/bucket"), ("POST", "/_ministack/config"), ("POST", "/_ministack/reset")],
)
def test_unsigned_request_is_refused(running: RunningInstance, method: str, path: str) -> None:
    assert send(running.url + path, {}, method)[0] == 403


def test_other_signature_algorithms_are_refused(running: RunningInstance) -> None:
    scope = f"{running.access_key_id}/20260101/us-east-1/sts/aws4_request"
    for algorithm in ("AWS4-FORGED", "AWS4-ECDSA-P256-SHA256", "Bearer"):
        header = f"{algorithm} Credential={scope}, SignedHeaders=host, Signature=0"
        assert send(running.url, {"Authorization": header, "X-Amz-Date": "20260101T000000Z"}, "POST")[0] in (400, 403)


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_presigned_url_is_valid_only_for_the_signed_request(running: RunningInstance, version: str) -> None:
    s3 = client(running, "s3")
    s3.create_bucket(Bucket=f"signed-{version}")
    s3.put_object(Bucket=f"signed-{version}", Key="a b/c+d.txt", Body=b"1")
    signer = client(running, "s3", signature_version=version)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": f"signed-{version}", "Key": "a b/c+d.txt"})
    assert send(url, {}) == (200, "1")
    assert send(url.replace("c%2Bd", "other"), {})[0] == 403
    forged = client(running, "s3", running.access_key_id, "wrong", signature_version=version)
    assert send(forged.generate_presigned_url("list_buckets"), {})[0] == 403


def test_secret_of_a_function_cannot_be_derived_from_names(running: RunningInstance) -> None:
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


AUTHORIZER_REQUEST = {"role": "arn:aws:iam::123456789012:role/none", "interpreter": "arn:aws:x:::y", "session": "s"}


def authorizer_token(running: RunningInstance) -> str:
    """Returns the token for the authorizer, read from the emulator's environment as the same user."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    for child in children:
        for variable in Path(f"/proc/{child}/environ").read_text().split("\0"):
            if variable.startswith(f"{AUTHORIZER_TOKEN_VARIABLE}="):
                return variable.partition("=")[2]
    raise LookupError(AUTHORIZER_TOKEN_VARIABLE)


def test_only_the_emulator_may_call_the_authorizer(running: RunningInstance) -> None:
    body = json.dumps(AUTHORIZER_REQUEST).encode()
    valid = f"Bearer {authorizer_token(running)}"
    credentials = f"{running.url}/_local/credentials"
    assert send(credentials, {"Authorization": valid}, "POST", body) == (
        200,
        json.dumps({"refused": f"There is no role {AUTHORIZER_REQUEST['role']}"}),
    )
    for invalid in ({}, *({"Authorization": value} for value in ("Bearer ", "Bearer x", valid[:-1], valid.lower()))):
        for path in ("credentials", "authorize", "assumable", "../_local/credentials", "credentials/", "%63redentials"):
            assert send(f"{running.url}/_local/{path}", invalid, "POST", body)[0] in (400, 403), (path, invalid)


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer x", ""])
def test_guessed_token_gives_no_access_to_interpreters(running: RunningInstance, authorization: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    status, body = send(f"{running.agentcore_url}/code-interpreters", headers, "POST")
    assert (status, "codeInterpreterSummaries" in body) == (403, False)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize("bucket", ["clusters", "restapis", "latest", "2015-03-31"])
def test_url_presigned_for_s3_gives_no_access_to_other_services(
    running: RunningInstance, version: str, bucket: str
) -> None:
    client(running, "s3").create_bucket(Bucket="plain-bucket")
    client(running, "s3").put_object(Bucket="plain-bucket", Key="functions", Body=b"content")
    s3 = client(running, "s3", signature_version=version)
    plain = s3.generate_presigned_url("get_object", Params={"Bucket": "plain-bucket", "Key": "functions"})
    assert send(plain, {}) == (200, "content")
    other = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "functions"})
    assert send(other, {})[0] == 403
    assert send(f"{running.agentcore_url}/code-interpreters?{urlsplit(plain).query}", {}, "POST")[0] == 403


# Request bodies: one process serves all callers, and holds only objects of S3 in files

MEBIBYTE = 1024 * 1024


def put_chunks(running: RunningInstance, path: str, headers: Mapping[str, str], max_bytes: int) -> tuple[int, str]:
    """Sends chunks of 1 MiB, up to `max_bytes` or a response. Returns status and body, or status 0 and no body."""
    endpoint = urlsplit(running.url)
    with socket.create_connection((endpoint.hostname, endpoint.port), 60) as connection:
        lines = {"Host": endpoint.netloc, "Transfer-Encoding": "chunked", "Connection": "close", **headers}
        head = [f"PUT {path} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items())]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        chunk = b"%x\r\n" % MEBIBYTE + bytes(MEBIBYTE) + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(max_bytes // MEBIBYTE):
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


def peak_memory(running: RunningInstance) -> dict[str, int]:
    """Returns the peak memory of each process in bytes since the last call."""
    peaks: dict[str, int] = {}
    for child in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
        text = Path(f"/proc/{child}/status").read_text()
        peaks[child] = int(text.partition("VmHWM:")[2].split()[0]) * 1024
        Path(f"/proc/{child}/clear_refs").write_text("5")  # resets VmHWM (proc(5))
    return peaks


@pytest.mark.parametrize("key", ["AKIAGUESSED000000000", "root"])
def test_body_of_a_request_with_a_forged_signature_is_not_kept_in_memory(running: RunningInstance, key: str) -> None:
    key = running.access_key_id if key == "root" else key
    now = datetime.now(UTC)
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/{now:%Y%m%d}/us-east-1/s3/aws4_request, "
        f"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={'0' * 64}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
    }
    peak_memory(running)
    before = peak_memory(running)
    status, body = put_chunks(running, "/bucket/key", headers, 200 * MEBIBYTE)
    assert status == 403, body
    after = peak_memory(running)
    assert [child for child in before if after[child] - before[child] > 40 * MEBIBYTE] == []


@pytest.mark.parametrize(("encoding", "limit_mib"), [("identity", 5 * 1024), ("aws-chunked", 256)])
def test_body_over_the_limit_is_refused(running: RunningInstance, encoding: str, limit_mib: int) -> None:
    """An object is held in a file. One in S3's own encoding has to be decoded, in memory."""
    s3 = client(running, "s3")
    s3.create_bucket(Bucket="large")
    url = client(running, "s3", signature_version="s3v4").generate_presigned_url(
        "put_object", Params={"Bucket": "large", "Key": "key"}
    )
    path, headers = url.removeprefix(running.url), {"Content-Encoding": encoding}
    assert put_chunks(running, path, headers, 2 * MEBIBYTE)[0] == (200 if encoding == "identity" else 400)
    endpoint = urlsplit(running.url)
    length = limit_mib * MEBIBYTE + 1
    with socket.create_connection((endpoint.hostname, endpoint.port), 60) as connection:
        lines = [f"PUT {path} HTTP/1.1", f"Host: {endpoint.netloc}", f"Content-Encoding: {encoding}"]
        connection.sendall("\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode())
        for _ in range(65):  # the gateway discards 64 MiB before it responds
            connection.sendall(bytes(MEBIBYTE))
        response = ""
        while "</Error>" not in response and (data := connection.recv(65_536)):
            response += data.decode()
    assert (" 413 " in response, "<Code>EntityTooLarge</Code>" in response) == (True, True), response
    assert f"exceeds {limit_mib} MiB" in response


def test_unsigned_callback_accepts_only_a_small_body(running: RunningInstance) -> None:
    path = "/_ministack/cfn-response/guessed"
    assert put_chunks(running, path, {}, MEBIBYTE)[0] == 200
    assert put_chunks(running, path, {}, 2 * MEBIBYTE)[0] == 413


@pytest.mark.parametrize("path", ["/_ministack/healthy", "/_ministack/health/x", "/_ministack/health%2Fx"])
def test_only_the_health_endpoint_needs_no_signature(running: RunningInstance, path: str) -> None:
    assert send(running.url + path, {})[0] == 403


ADMIN_REQUESTS = [
    *(("GET", "faults"), ("PUT", "faults"), ("DELETE", "faults"), ("GET", "clock"), ("POST", "clock")),
    *(("GET", "sessions"), ("DELETE", "sessions/x")),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_REQUESTS)
def test_admin_requests_need_the_admin_token(running: RunningInstance, method: str, path: str) -> None:
    body = {"PUT": b'{"rules": []}', "POST": b'{"advance_seconds": 0}'}.get(method)
    url, valid = f"{running.agentcore_url}/_local/{path}", f"Bearer {running.steering_token}"
    for invalid in ("", "Bearer ", "Bearer None", valid[:-1], valid.lower(), f"Bearer {authorizer_token(running)}"):
        status, message = send(url, {"Authorization": invalid} if invalid else {}, method, body)
        assert (status, ADMIN_TOKEN_VARIABLE in message) == (403, True), invalid
    assert send(url, {"Authorization": valid}, method, body)[0] == 200


def test_admin_client_uses_the_token_of_the_environment(
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
    sessions.end("x/../../faults?a b")  # no session has this id
    assert sessions.ids() == set()


def test_body_of_an_admin_request_over_the_limit_is_refused(running: RunningInstance) -> None:
    url, token = f"{running.agentcore_url}/_local/faults", {"Authorization": f"Bearer {running.steering_token}"}
    rules = b'{"rules": []}'
    assert send(url, token, "PUT", rules.ljust(MEBIBYTE))[0] == 200
    assert send(url, token, "PUT", rules.ljust(MEBIBYTE + 1))[0] == 413
