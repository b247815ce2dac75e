"""Reading and writing objects that a KMS key encrypts requires permission to use the key."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.account import ACCOUNT, REGION
from tests.support.iam import allow, any_client, user
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="creates buckets, keys and users"),
    pytest.mark.usefixtures("aws"),
]
S3_ALLOWED = allow("s3:*")
VIA_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}


@pytest.fixture(scope="module")
def key(aws: object) -> str:  # noqa: ARG001 - used by boto3
    """ARN of a key whose key policy gives access to IAM policies of the account."""
    return any_client("kms").create_key()["KeyMetadata"]["Arn"]


def set_encryption(bucket: str, key: str, *, bucket_key: bool = False) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": bucket_key,
    }
    any_client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


@pytest.fixture
def bucket(key: str) -> str:
    """A versioned bucket that the key encrypts, with one object."""
    s3, name = any_client("s3"), f"keys-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    set_encryption(name, key)
    s3.put_object(Bucket=name, Key="a.txt", Body=b"first")
    return name


def error_message(call: Callable[[], object]) -> str:
    """Returns the error message of S3, or "" when the call succeeds."""
    try:
        call()
    except ClientError as error:
        return error.response.get("Error", {}).get("Message", "")
    return ""


def denied_actions(bucket: str, session: Any) -> dict[str, str]:
    """Returns the KMS action that is denied for each way to read and write objects, or "" when the call succeeds."""
    s3 = session.client("s3")
    root = any_client("s3")
    version = root.list_object_versions(Bucket=bucket, Prefix="a.txt")["Versions"][-1]["VersionId"]
    upload = root.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    plain = {"Bucket": bucket, "ServerSideEncryption": "AES256"}
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: s3.get_object(Bucket=bucket, Key="a.txt"),
        "get version": lambda: s3.get_object(Bucket=bucket, Key="a.txt", VersionId=version),
        "head": lambda: s3.head_object(Bucket=bucket, Key="a.txt"),
        "put": lambda: s3.put_object(Bucket=bucket, Key="b.txt", Body=b"x"),
        "put with an S3 managed key": lambda: s3.put_object(**plain, Key="c.txt", Body=b"x"),
        "create an upload": lambda: s3.create_multipart_upload(Bucket=bucket, Key="d.txt"),
        "upload a part": lambda: s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x"),
        "copy out": lambda: s3.copy_object(**plain, Key="e.txt", CopySource=f"{bucket}/a.txt"),
    }
    messages = {name: error_message(call) for name, call in calls.items()}
    return {
        name: text.partition("perform: ")[2].partition(" ")[0] if "perform: " in text else text
        for name, text in messages.items()
    }


READS = dict.fromkeys(("get", "get version", "copy out"), "kms:Decrypt")
WRITES = {"put": "kms:GenerateDataKey", "create an upload": "kms:GenerateDataKey", "upload a part": "kms:Decrypt"}
WITHOUT_KEY = {"head": "", "put with an S3 managed key": ""}


def test_reads_and_writes_fail_without_permission_to_use_the_key(bucket: str, key: str) -> None:
    with user(S3_ALLOWED) as session:
        assert denied_actions(bucket, session) == READS | WRITES | WITHOUT_KEY
        message = error_message(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))
        assert f"is not authorized to perform: kms:Decrypt on resource: {key} " in message


def test_kms_decrypt_allows_reads_and_part_uploads_only(bucket: str, key: str) -> None:
    with user(S3_ALLOWED, allow("kms:Decrypt", resource=key)) as session:
        written = {"put": "kms:GenerateDataKey", "create an upload": "kms:GenerateDataKey", "upload a part": ""}
        assert denied_actions(bucket, session) == dict.fromkeys(READS, "") | written | WITHOUT_KEY


@pytest.mark.parametrize("permitted", [False, True])
def test_a_presigned_url_needs_the_signers_permission_to_use_the_key(bucket: str, key: str, permitted: bool) -> None:
    grants = [allow("kms:Decrypt", "kms:GenerateDataKey", resource=key)] if permitted else []
    with user(S3_ALLOWED, *grants) as session:
        s3 = session.client("s3", config=Config(signature_version="s3v4"))
        for operation, action in (("put_object", "kms:GenerateDataKey"), ("get_object", "kms:Decrypt")):
            url = s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": "a.txt"})
            request = urllib.request.Request(url, method=operation[:3].upper())  # noqa: S310 - the embedded AWS
            if permitted:
                urllib.request.urlopen(request).close()  # noqa: S310 - the embedded AWS
                continue
            with pytest.raises(urllib.error.HTTPError) as denied:
                urllib.request.urlopen(request)  # noqa: S310 - the embedded AWS
            assert f"is not authorized to perform: {action} on resource" in denied.value.read().decode()


@pytest.mark.parametrize("bucket_key", [False, True])
def test_the_encryption_context_is_the_object_or_its_bucket_with_a_bucket_key(
    bucket: str, key: str, bucket_key: bool
) -> None:
    set_encryption(bucket, key, bucket_key=bucket_key)
    bucket_context = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    object_context = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/a.txt"}

    def reads(**condition: Any) -> bool:
        with user(S3_ALLOWED, allow("kms:Decrypt", resource=key, Condition=condition)) as session:
            return not error_message(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))

    assert reads(StringEquals=VIA_S3)
    assert not reads(StringEquals={"kms:ViaService": f"sqs.{REGION}.amazonaws.com"})
    assert reads(StringEquals=VIA_S3 | bucket_context) is bucket_key
    assert reads(StringEquals=VIA_S3 | object_context) is not bucket_key


def test_the_key_policy_is_evaluated(bucket: str) -> None:
    kms, s3 = any_client("kms"), any_client("s3")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::another-bucket"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    other = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    set_encryption(bucket, other)
    s3.put_object(Bucket=bucket, Key="other.txt", Body=b"x")
    with user(S3_ALLOWED, allow("kms:*")) as session:
        assert not error_message(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))
        assert "kms:Decrypt" in error_message(lambda: session.client("s3").get_object(Bucket=bucket, Key="other.txt"))


def test_the_aws_managed_key_needs_no_permission(bucket: str) -> None:
    aws_managed = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    any_client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=aws_managed)
    with user(S3_ALLOWED) as session:
        session.client("s3").put_object(Bucket=bucket, Key="b.txt", Body=b"x", ServerSideEncryption="aws:kms")
        assert session.client("s3").get_object(Bucket=bucket, Key="b.txt")["Body"].read() == b"x"
