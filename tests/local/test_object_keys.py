"""Who reads or writes an object that a KMS key encrypts needs the key, too, and S3 says so."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.local.target import ON_AWS
from tests.local.test_service_roles import ACCOUNT, REGION, allow, user

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="it makes buckets, keys and users"),
    pytest.mark.usefixtures("aws"),
]
OBJECTS = allow("s3:*")
VIA_S3 = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}


def any_client(service: str) -> Any:
    session: Any = boto3
    return session.client(service)


@pytest.fixture(scope="module")
def key(aws: object) -> str:  # noqa: ARG001 - boto3 talks to it
    """The ARN of a key that its account's policies give."""
    return any_client("kms").create_key()["KeyMetadata"]["Arn"]


def encrypted(bucket: str, key: str, *, bucket_key: bool = False) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": bucket_key,
    }
    any_client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


@pytest.fixture
def bucket(key: str) -> str:
    """A versioned bucket that the key encrypts, with an object."""
    s3, name = any_client("s3"), f"keys-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    encrypted(name, key)
    s3.put_object(Bucket=name, Key="a.txt", Body=b"first")
    return name


def refused(call: Callable[[], object]) -> str:
    """What S3 says; "" when it does it."""
    try:
        call()
    except ClientError as error:
        return error.response.get("Error", {}).get("Message", "")
    return ""


def uses(bucket: str, session: Any) -> dict[str, str]:
    """Each way to read and to write, and the use of the key for which it is refused."""
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
        "put by S3's own key": lambda: s3.put_object(**plain, Key="c.txt", Body=b"x"),
        "begin an upload": lambda: s3.create_multipart_upload(Bucket=bucket, Key="d.txt"),
        "upload a part": lambda: s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=1, Body=b"x"),
        "copy out": lambda: s3.copy_object(**plain, Key="e.txt", CopySource=f"{bucket}/a.txt"),
    }
    said = {name: refused(call) for name, call in calls.items()}
    return {
        name: text.partition("perform: ")[2].partition(" ")[0] if "perform: " in text else text
        for name, text in said.items()
    }


READING = dict.fromkeys(("get", "get version", "copy out"), "kms:Decrypt")
WRITING = {"put": "kms:GenerateDataKey", "begin an upload": "kms:GenerateDataKey", "upload a part": "kms:Decrypt"}
FREE = {"head": "", "put by S3's own key": ""}


def test_who_may_not_use_the_key_neither_reads_nor_writes(bucket: str, key: str) -> None:
    with user(OBJECTS) as session:
        assert uses(bucket, session) == READING | WRITING | FREE
        said = refused(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))
        assert f"is not authorized to perform: kms:Decrypt on resource: {key} " in said


def test_who_may_decrypt_reads_and_begins_nothing(bucket: str, key: str) -> None:
    with user(OBJECTS, allow("kms:Decrypt", resource=key)) as session:
        written = {"put": "kms:GenerateDataKey", "begin an upload": "kms:GenerateDataKey", "upload a part": ""}
        assert uses(bucket, session) == dict.fromkeys(READING, "") | written | FREE


@pytest.mark.parametrize("bucket_key", [False, True])
def test_the_key_is_used_by_s3_for_the_object_or_for_its_bucket(bucket: str, key: str, bucket_key: bool) -> None:
    encrypted(bucket, key, bucket_key=bucket_key)
    of_bucket = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}"}
    of_object = {"kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/a.txt"}

    def reads(**condition: Any) -> bool:
        with user(OBJECTS, allow("kms:Decrypt", resource=key, Condition=condition)) as session:
            return not refused(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))

    assert reads(StringEquals=VIA_S3)
    assert not reads(StringEquals={"kms:ViaService": f"sqs.{REGION}.amazonaws.com"})
    assert reads(StringEquals=VIA_S3 | of_bucket) is bucket_key
    assert reads(StringEquals=VIA_S3 | of_object) is not bucket_key


def test_the_policy_of_the_key_has_its_say(bucket: str) -> None:
    kms, s3 = any_client("kms"), any_client("s3")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::of-others"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    other = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    encrypted(bucket, other)
    s3.put_object(Bucket=bucket, Key="other.txt", Body=b"x")
    with user(OBJECTS, allow("kms:*")) as session:
        assert not refused(lambda: session.client("s3").get_object(Bucket=bucket, Key="a.txt"))
        assert "kms:Decrypt" in refused(lambda: session.client("s3").get_object(Bucket=bucket, Key="other.txt"))


def test_a_key_of_aws_takes_no_permission(bucket: str) -> None:
    of_aws = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    any_client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=of_aws)
    with user(OBJECTS) as session:
        session.client("s3").put_object(Bucket=bucket, Key="b.txt", Body=b"x", ServerSideEncryption="aws:kms")
        assert session.client("s3").get_object(Bucket=bucket, Key="b.txt")["Body"].read() == b"x"
