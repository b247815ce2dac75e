"""URLs presigned with Signature Version 4, which the embedded AWS verifies as S3 does.

Each test begins with a request that succeeds and changes one part of it.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import itertools
import random
import time
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import boto3
import pytest
import urllib3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from tests.support.account import REGION
from tests.support.agentcore_sessions import Session
from tests.support.iam import Role, allow, any_client, document
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from local_aws.running_instance import RunningInstance

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="creates a bucket and a role"),
    pytest.mark.usefixtures("aws"),
]
BODY = b"the content\r\n"
MEBIBYTE = 1024 * 1024


def sha256(body: bytes) -> str:
    """Returns the checksum as S3 writes it."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


@dataclass(frozen=True)
class SignedRequest:
    """A presigned URL, and the headers that its signature covers."""

    method: str
    url: str
    headers: Mapping[str, str]

    def send(self, body: bytes | None = None, **changed: str | None) -> tuple[int, str, str]:
        """Sends the request without credentials.

        Args:
            body: The body.
            **changed: Headers to change or add, with _ instead of -. None: the header is not sent.

        Returns:
            Status, error code and error message; the body instead of the message for a status below 400.
        """
        changes = {name.replace("_", "-"): value for name, value in changed.items()}
        headers = {name: value for name, value in {**self.headers, **changes}.items() if value is not None}
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        connection.request(self.method, f"{parts.path}?{parts.query}", body, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if response.status < 400:
            return response.status, "", content.decode()
        error = ElementTree.fromstring(content)  # noqa: S314 - of the embedded AWS
        return response.status, error.findtext("Code", ""), error.findtext("Message", "")


@dataclass(frozen=True)
class Signer:
    """A role session that presigns requests for one bucket."""

    session: Any
    bucket: str

    def sign(
        self, operation: str, key: str, seconds: int = 60, version: str = "s3v4", **parameters: Any
    ) -> SignedRequest:
        """Presigns an operation. `parameters` that boto3 sends as headers are signed headers."""
        client = self.session.client("s3", config=Config(signature_version=version))
        url = client.generate_presigned_url(
            operation, Params={"Bucket": self.bucket, "Key": key, **parameters}, ExpiresIn=seconds
        )
        method = {"put_object": "PUT", "get_object": "GET"}[operation]
        headers = {
            "ChecksumSHA256": "x-amz-checksum-sha256",
            "ContentLength": "content-length",
            "ContentType": "content-type",
            "IfNoneMatch": "if-none-match",
        }
        return SignedRequest(method, url, {headers[name]: str(value) for name, value in parameters.items()})

    def put(self, key: str, body: bytes = BODY, seconds: int = 60) -> SignedRequest:
        """Presigns a PUT of exactly this content to a key that does not exist yet."""
        return self.sign(
            "put_object",
            key,
            seconds,
            ChecksumSHA256=sha256(body),
            ContentLength=len(body),
            ContentType="text/plain",
            IfNoneMatch="*",
        )


@pytest.fixture(scope="module")
def bucket(aws: object) -> str:  # noqa: ARG001 - used by boto3
    name = f"presigned-{uuid.uuid4().hex[:8]}"
    any_client("s3").create_bucket(Bucket=name)
    any_client("s3").put_object(Bucket=name, Key="in/a.txt", Body=BODY)
    return name


@pytest.fixture(scope="module")
def role(aws: object) -> Generator[Role]:  # noqa: ARG001 - used by boto3
    """A role that the account's principals may assume."""
    iam, role = any_client("iam"), Role(f"presigner-{uuid.uuid4().hex[:8]}")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=role.name, AssumeRolePolicyDocument=document(trust))
    yield role
    iam.delete_role_policy(RoleName=role.name, PolicyName="it")
    iam.delete_role(RoleName=role.name)


@pytest.fixture
def signer(role: Role, bucket: str) -> Signer:
    """A session of the role, which may read and write all objects of the bucket."""
    role.set_permissions(allow("s3:GetObject", "s3:PutObject", resource=f"arn:aws:s3:::{bucket}/*"))
    return Signer(role.session(), bucket)


@pytest.fixture
def key() -> str:
    return f"out/{uuid.uuid4()}/a b+ü.txt"


MISMATCH = (403, "SignatureDoesNotMatch")
DENIED = (403, "AccessDenied")
OTHER_SHA256 = sha256(b"other")


def test_put_stores_the_content_once(signer: Signer, key: str) -> None:
    put = signer.put(key)
    assert put.send(BODY)[0] == 200
    stored = any_client("s3").get_object(Bucket=signer.bucket, Key=key, ChecksumMode="ENABLED")
    assert (stored["Body"].read(), stored["ChecksumSHA256"], stored["ContentType"]) == (
        BODY,
        sha256(BODY),
        "text/plain",
    )
    assert put.send(BODY)[:2] == (412, "PreconditionFailed")
    assert signer.sign("get_object", key).send()[::2] == (200, BODY.decode())


@pytest.mark.parametrize(
    ("changed", "body", "expected"),
    [
        ({"x_amz_checksum_sha256": OTHER_SHA256}, BODY, MISMATCH),
        ({"x_amz_checksum_sha256": None}, BODY, MISMATCH),
        ({"if_none_match": None}, BODY, MISMATCH),
        ({"if_none_match": '"abc"'}, BODY, MISMATCH),
        ({"content_type": "text/html"}, BODY, MISMATCH),
        ({"content_type": None}, BODY, MISMATCH),
        ({"content_length": str(len(BODY) + 1)}, BODY + b"x", MISMATCH),
        ({"content_length": str(len(BODY) - 1)}, BODY[:-1], MISMATCH),
        ({"content_length": None, "transfer_encoding": "chunked"}, b"0\r\n\r\n", MISMATCH),
        ({}, BODY[::-1], (400, "BadDigest")),
        ({"x_amz_acl": "bucket-owner-full-control"}, BODY, DENIED),
        ({"x_amz_meta_sha256": "0"}, BODY, DENIED),
        ({"x_amz_tagging": "a=b"}, BODY, DENIED),
        ({"x_amz_checksum_crc32": "AAAAAA=="}, BODY, DENIED),
        ({"x_amz_storage_class": "GLACIER"}, BODY, DENIED),
        ({"x_amz_copy_source": "/other/key"}, BODY, DENIED),
        ({"x_amz_security_token": "another"}, BODY, DENIED),
    ],
)
def test_put_is_bound_to_its_headers_and_content(
    signer: Signer, key: str, changed: dict[str, str | None], body: bytes, expected: tuple[int, str]
) -> None:
    put = signer.put(key)
    status, code, message = put.send(body, **changed)
    assert (status, code) == expected, message
    if expected == DENIED:
        assert message == "There were headers present in the request which were not signed"
    assert put.send(BODY, user_agent="other headers need no signature")[0] == 200


@pytest.mark.parametrize("seconds", ["0", "-1", "604801", "x", ""])
def test_expiry_is_one_second_to_seven_days(signer: Signer, seconds: str) -> None:
    get = signer.sign("get_object", "in/a.txt", 604_800)
    assert get.send()[0] == 200
    changed = replace(get, url=get.url.replace("X-Amz-Expires=604800", f"X-Amz-Expires={seconds}"))
    expected = DENIED if seconds == "0" else (400, "AuthorizationQueryParametersError")
    assert changed.send()[:2] == expected
    without = replace(get, url=get.url.replace("X-Amz-Expires=604800&", ""))
    assert without.send()[:2] == (400, "AuthorizationQueryParametersError")
    longer = replace(get, url=get.url.replace("X-Amz-Expires=604800", "X-Amz-Expires=604799"))
    assert longer.send()[:2] == MISMATCH


def test_expired_url_is_refused(signer: Signer, key: str) -> None:
    put, get = signer.put(key, seconds=1), signer.sign("get_object", "in/a.txt", 1)
    time.sleep(2.1)
    for response in (put.send(BODY), get.send(), put.send(BODY[::-1])):
        assert response == (403, "AccessDenied", "Request has expired")
    assert signer.put(key).send(BODY)[0] == 200


def test_url_is_bound_to_method_key_bucket_and_host(signer: Signer, key: str) -> None:
    get = signer.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    assert replace(get, method="PUT").send(BODY)[:2] == MISMATCH
    assert replace(get, method="DELETE").send()[:2] == MISMATCH
    assert replace(get, url=get.url.replace("in/a.txt", "in/b.txt")).send()[:2] == MISMATCH
    assert replace(get, url=f"{get.url}&response-content-type=text/html").send()[:2] == MISMATCH
    assert replace(get, url=f"{get.url}&versionId=1").send()[:2] == MISMATCH
    put = signer.put(key)
    assert replace(put, method="GET").send(BODY)[:2] == MISMATCH
    port = urlsplit(get.url).port
    assert get.send(host=f"localhost:{port}")[:2] == MISMATCH
    assert put.send(BODY)[0] == 200


def test_permissions_are_those_of_the_signer_when_the_url_is_used(
    signer: Signer, role: Role, bucket: str, key: str
) -> None:
    put, get = signer.put(key), signer.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    role.set_permissions(allow("s3:PutObject", resource=f"arn:aws:s3:::{bucket}/*"))
    status, code, message = get.send()
    assert (status, code) == DENIED
    assert "is not authorized to perform: s3:GetObject" in message
    role.set_permissions(allow("s3:GetObject", resource=f"arn:aws:s3:::{bucket}/*"))
    assert put.send(BODY)[:2] == DENIED
    assert get.send()[0] == 200


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("X-Amz-Security-Token", (400, "InvalidToken")),
        ("X-Amz-Signature", MISMATCH),
        ("X-Amz-SignedHeaders", MISMATCH),
    ],
)
def test_changed_parameter_is_refused(signer: Signer, parameter: str, expected: tuple[int, str]) -> None:
    get = signer.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    value = get.url.partition(f"{parameter}=")[2].partition("&")[0]
    changed = "0" * 64 if parameter == "X-Amz-Signature" else "other"
    assert replace(get, url=get.url.replace(f"{parameter}={value}", f"{parameter}={changed}")).send()[:2] == expected


def test_url_of_an_expired_session_is_refused(signer: Signer, role: Role) -> None:
    """The embedded AWS accepts a shorter duration than the 900 s of AWS, so that the test does not wait."""
    sts: Any = boto3.client("sts", config=Config(parameter_validation=False))
    response = sts.assume_role(RoleArn=role.arn, RoleSessionName="short", DurationSeconds=1)["Credentials"]
    keys = response["AccessKeyId"], response["SecretAccessKey"], response["SessionToken"]
    short = replace(signer, session=boto3.Session(*keys, region_name=REGION))
    get = short.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    time.sleep(1.1)
    assert get.send()[:2] == (400, "ExpiredToken")


class _WithoutHost(S3SigV4QueryAuth):
    """Signs a URL for every host, which S3 does not accept."""

    def headers_to_sign(self, request: AWSRequest) -> Any:
        headers = super().headers_to_sign(request)
        del headers["host"]
        return headers


@pytest.mark.parametrize(("auth", "status"), [(S3SigV4QueryAuth, 200), (_WithoutHost, 403)])
def test_the_host_has_to_be_signed(signer: Signer, auth: type[S3SigV4QueryAuth], status: int) -> None:
    address = signer.sign("get_object", "in/a.txt").url.partition("?")[0]
    request = AWSRequest("GET", address, headers={"range": "bytes=0-99"})
    auth(signer.session.get_credentials(), "s3", REGION, expires=60).add_auth(request)
    signed = SignedRequest("GET", request.url or "", {"range": "bytes=0-99"})
    response = signed.send()
    assert response[0] == (206 if status == 200 else status), response
    if status == 403:
        assert response[1:] == ("AccessDenied", "There were headers present in the request which were not signed")


@pytest.mark.parametrize("change", [("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), ("X-Amz-Date=2", "X-Amz-Date=x")])
def test_invalid_parameter_is_refused(signer: Signer, change: tuple[str, str]) -> None:
    get = signer.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    changed = replace(get, url=get.url.replace(*change))
    assert changed.send()[:2] == (400, "AuthorizationQueryParametersError")


def test_second_signature_in_a_header_is_refused(signer: Signer) -> None:
    get = signer.sign("get_object", "in/a.txt")
    assert get.send()[0] == 200
    assert get.send(
        authorization="AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
        "Signature=0"
    )[:2] == (400, "InvalidArgument")


def test_unknown_access_key_is_refused(signer: Signer) -> None:
    get = signer.sign("get_object", "in/a.txt")
    access_key_id = signer.session.get_credentials().access_key
    unknown = get.url.replace(access_key_id, "ASIA0000000000000000")
    assert replace(get, url=unknown).send()[:2] == (403, "InvalidAccessKeyId")


def test_condition_keys_of_the_signature(signer: Signer, role: Role, bucket: str, key: str) -> None:
    def permit(**condition: Any) -> None:
        role.set_permissions(allow("s3:*", resource=f"arn:aws:s3:::{bucket}/*", Condition=condition))

    put, client = signer.put(key), signer.session.client("s3")
    get = signer.sign("get_object", "in/a.txt")

    def allowed() -> tuple[bool, bool]:
        """Returns whether the presigned request is allowed, and a request signed in its header."""
        try:
            client.get_object(Bucket=bucket, Key="in/a.txt")
        except client.exceptions.ClientError:
            return get.send()[0] == 200, False
        return get.send()[0] == 200, True

    permit()
    assert allowed() == (True, True)
    permit(StringEquals={"s3:authType": "REST-QUERY-STRING"})
    assert allowed() == (True, False)
    assert put.send(BODY)[0] == 200
    permit(StringEquals={"s3:authType": "REST-HEADER"})
    assert allowed() == (False, True)
    permit(StringEquals={"s3:signatureversion": "AWS4-HMAC-SHA256"})
    assert allowed() == (True, True)
    permit(StringEquals={"s3:signatureversion": "AWS"})
    assert allowed() == (False, False)
    permit(NumericLessThan={"s3:signatureAge": 600_000})
    assert allowed() == (True, False)
    time.sleep(0.01)
    permit(NumericLessThan={"s3:signatureAge": 1})
    assert allowed() == (False, False)


@pytest.mark.parametrize(("auth_type", "allowed"), [("REST-HEADER", True), ("REST-QUERY-STRING", False)])
def test_condition_keys_apply_to_every_permission_of_a_request(
    signer: Signer, role: Role, bucket: str, auth_type: str, allowed: bool
) -> None:
    """A copy needs another permission for its source."""
    objects, condition = f"arn:aws:s3:::{bucket}/*", {"StringEquals": {"s3:authType": auth_type}}
    role.set_permissions(
        allow("s3:PutObject", resource=objects), allow("s3:GetObject", resource=objects, Condition=condition)
    )
    client = signer.session.client("s3")
    with nullcontext() if allowed else pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/in/a.txt")


def test_bucket_policy_can_deny_presigned_requests(signer: Signer, bucket: str) -> None:
    get, s3 = signer.sign("get_object", "in/a.txt"), any_client("s3")
    assert get.send()[0] == 200
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringNotEquals": {"s3:authType": "REST-HEADER"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=document(deny))
    assert get.send()[:2] == DENIED
    assert signer.session.client("s3").get_object(Bucket=bucket, Key="in/a.txt")["Body"].read() == BODY
    s3.delete_bucket_policy(Bucket=bucket)
    assert get.send()[0] == 200


# Large objects, which the embedded AWS holds in files

LARGE_BYTES = 512 * MEBIBYTE


def anonymous_memory(running: RunningInstance) -> int:
    """Returns the memory of the processes of the embedded AWS in bytes, without pages of files."""
    total = 0
    for child in Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split():
        total += int(Path(f"/proc/{child}/status").read_text().partition("RssAnon:")[2].split()[0]) * 1024
    return total


SEND_LARGE_FILE = """
import base64, hashlib, http.client, os, time, urllib.error, urllib.parse, urllib.request

def send(method, url, body=None, headers={{}}):
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            digest = hashlib.sha256()
            while chunk := response.read(1024 * 1024):
                digest.update(chunk)
            return response.status, digest.hexdigest()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().partition("<Code>")[2].partition("<")[0]

with open("large.bin", "wb") as file:
    file.truncate({size})
    file.write(b"begin")
with open("large.bin", "rb") as file:
    print(send("PUT", {put!r}, file, {headers!r}))
print(send("GET", {get!r}))
print(send("GET", {get!r}.replace("Expires=60", "Expires=61")))
print([name for name in os.environ if "SECRET" in name or "TOKEN" in name])
"""


def test_sandbox_without_a_role_sends_and_reads_a_file_of_512_mib(
    aws: RunningInstance, signer: Signer, key: str
) -> None:
    """The managed interpreter has no role, and its network is SANDBOX."""
    digest = hashlib.sha256(b"begin")
    for size in (MEBIBYTE - 5, *itertools.repeat(MEBIBYTE, LARGE_BYTES // MEBIBYTE - 1)):
        digest.update(bytes(size))
    put = signer.sign(
        "put_object",
        key,
        600,
        ChecksumSHA256=base64.b64encode(digest.digest()).decode(),
        ContentLength=LARGE_BYTES,
        ContentType="application/octet-stream",
        IfNoneMatch="*",
    )
    get = signer.sign("get_object", key)
    code = SEND_LARGE_FILE.format(size=LARGE_BYTES, put=put.url, headers=dict(put.headers), get=get.url)
    session = Session(boto3.client("bedrock-agentcore"))
    before = anonymous_memory(aws)
    result = session.python(code)
    after = anonymous_memory(aws)
    session.stop()
    assert (result["stderr"], result["stdout"].splitlines()) == (
        "",
        [
            f"(200, '{hashlib.sha256().hexdigest()}')",
            f"(200, '{digest.hexdigest()}')",
            "(403, 'SignatureDoesNotMatch')",
            "[]",
        ],
    )
    assert after - before < LARGE_BYTES / 4
    s3 = any_client("s3")
    head = s3.head_object(Bucket=signer.bucket, Key=key, ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ChecksumSHA256"]) == (LARGE_BYTES, put.headers["x-amz-checksum-sha256"])
    s3.delete_object(Bucket=signer.bucket, Key=key)


def test_large_object_behaves_like_a_small_one(tmp_path: Path) -> None:
    """Uploads in one request and in parts, ranges, copies, versions and conditions."""
    s3, bucket = any_client("s3"), f"large-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    content = random.Random(1).randbytes(20 * MEBIBYTE) + b"\n"
    (tmp_path / "large").write_bytes(content)
    first = s3.put_object(Bucket=bucket, Key="put", Body=content, ChecksumAlgorithm="SHA256")
    assert first["ETag"] == f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
    s3.upload_file(str(tmp_path / "large"), bucket, "parts")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/parts", ChecksumAlgorithm="SHA256")
    for key in ("put", "parts", "copy"):
        s3.download_file(bucket, key, str(tmp_path / key))
        assert (tmp_path / key).read_bytes() == content
        for start, end in ((0, 0), (5, 20), (1, 17 * MEBIBYTE), (20 * MEBIBYTE, 20 * MEBIBYTE)):
            part = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end}")
            assert part["Body"].read() == content[start : end + 1]
    s3.put_object(Bucket=bucket, Key="put", Body=b"small")
    old = s3.get_object(Bucket=bucket, Key="put", VersionId=first["VersionId"])
    assert old["Body"].read() == content
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=bucket, Key="put", Body=content, IfNoneMatch="*")
    assert s3.get_object_attributes(Bucket=bucket, Key="copy", ObjectAttributes=["Checksum"])["Checksum"][
        "ChecksumSHA256"
    ] == sha256(content)


@pytest.mark.parametrize(
    ("numbers", "code"),
    [((1, 2), ""), ((2, 1), "InvalidPartOrder"), ((1, 1), "InvalidPartOrder"), ((1, 2, 2), "InvalidPartOrder")],
)
def test_parts_are_listed_once_in_ascending_order(signer: Signer, numbers: tuple[int, ...], code: str) -> None:
    """A part that is listed many times would make an object of any size, in memory."""
    s3, target = any_client("s3"), {"Bucket": signer.bucket, "Key": f"parts-{uuid.uuid4().hex}"}
    upload = {**target, "UploadId": s3.create_multipart_upload(**target)["UploadId"]}
    first, last = b"a" * 5 * MEBIBYTE, b"b"
    etags = {
        number: s3.upload_part(**upload, PartNumber=number, Body=content)["ETag"]
        for number, content in ((1, first), (2, last))
    }
    parts = [{"PartNumber": number, "ETag": etags[number]} for number in numbers]
    try:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except s3.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code
    else:
        assert code == ""
        assert s3.get_object(**target)["Body"].read() == first + last


def test_list_of_parts_without_a_number_does_not_hide_its_order(signer: Signer) -> None:
    s3, target = any_client("s3"), {"Bucket": signer.bucket, "Key": f"parts-{uuid.uuid4().hex}"}
    upload = {**target, "UploadId": s3.create_multipart_upload(**target)["UploadId"]}
    s3.upload_part(**upload, PartNumber=1, Body=b"a")
    url = s3.generate_presigned_url("complete_multipart_upload", Params=upload)
    part = "<Part><PartNumber>1</PartNumber></Part>"

    def complete(parts: str) -> bytes:
        xml = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        return urllib3.request("POST", url, body=xml).data

    assert b"InvalidPartOrder" in complete(f"<Part><PartNumber/></Part>{part * 3}")
    assert b"CompleteMultipartUploadResult" in complete(part)
