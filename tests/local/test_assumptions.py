"""Assumptions about AWS on which the transfer of large files and the result of a long output depend.

The tests run against the embedded AWS, and against AWS with SANDPIPER_TARGET=aws. There they need permissions to create
and delete a bucket, and to use AWS's managed interpreter, which has the network mode SANDBOX and no execution role.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from code_runner.agentcore.programs import Code
from code_runner.session import open_session
from tests.support.agentcore_sessions import Session

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.usefixtures("aws")
BODY = b"content"
PROGRAM = """
import urllib.error, urllib.request

def send(method, url, body=None, headers={{}}):
    request = urllib.request.Request(url, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().partition("<Code>")[2].partition("<")[0]

put, headers, get = {put!r}, {headers!r}, {get!r}
unconditional = {{name: value for name, value in headers.items() if name != "if-none-match"}}
print(send("PUT", put, b"another", headers))
print(send("PUT", put, b"content", unconditional))
print(send("PUT", put, b"content", {{**headers, "x-amz-meta-other": "1"}}))
print(send("PUT", put, b"content", headers))
print(send("PUT", put, b"content", headers))
print(send("GET", get))
"""


@pytest.fixture
def bucket() -> Generator[str]:
    """A bucket that exists for one test."""
    s3, name = boto3.resource("s3"), f"sandpiper-assumptions-{uuid.uuid4().hex[:12]}"
    region = s3.meta.client.meta.region_name
    location: Any = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    created = s3.create_bucket(Bucket=name, **location)
    yield name
    created.objects.delete()
    created.delete()


def test_sandbox_mode_reaches_s3_with_presigned_urls_and_s3_applies_their_conditions(bucket: str) -> None:
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    checksum = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    bound: Any = {"ChecksumSHA256": checksum, "ContentLength": len(BODY), "IfNoneMatch": "*"}
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a", **bound}, ExpiresIn=300)
    get = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a"}, ExpiresIn=300)
    headers = {"x-amz-checksum-sha256": checksum, "if-none-match": "*", "content-type": "text/plain"}
    session = Session(boto3.client("bedrock-agentcore"))
    result = session.python(PROGRAM.format(put=put, headers=headers, get=get))
    session.stop()
    assert (result["stderr"], result["stdout"].splitlines()) == (
        "",
        [
            "(400, 'BadDigest')",
            "(403, 'SignatureDoesNotMatch')",
            "(403, 'AccessDenied')",
            "(200, '')",
            "(412, 'PreconditionFailed')",
            "(200, 'content')",
        ],
    )


def test_a_response_over_the_limit_of_botocore_is_sent() -> None:
    with open_session() as session:
        result = session.run(Code("open('file.txt', 'w').write('x')\nprint('first' + 'x' * 20_000_000 + 'last')"))
    assert (result.exit_code, [file.data for file in result.files]) == (0, [b"x"])
    assert result.stdout.startswith("firstx")
    assert " bytes omitted; " in result.stdout
    assert result.stdout.endswith("xlast")
