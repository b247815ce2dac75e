"""Every request to S3 has the condition keys that the policies of data buckets use."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.account import ACCOUNT
from tests.support.iam import Role, allow, any_client, document
from tests.support.s3_forms import post_form
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Call = Callable[[Any, str], object]

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates buckets and roles")

TAG = {"Key": "sandpiper:tenant", "Value": "claims"}
CUSTOMER_KEY = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
CUSTOMER_KEY_HEADER = "x-amz-server-side-encryption-customer-algorithm"


@pytest.fixture(scope="module")
def role(aws: object) -> Generator[Role]:  # noqa: ARG001 - used by boto3
    """A role with a path and a tag, which is allowed everything."""
    iam, name = any_client("iam"), f"conditions-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), Tags=[TAG])
    created = Role(name)
    created.set_permissions(allow("*"))
    yield created
    iam.delete_role_policy(RoleName=name, PolicyName="it")
    iam.delete_role(RoleName=name)


@pytest.fixture(scope="module")
def s3(role: Role) -> Any:
    session: Any = role.session()
    return session.client("s3", config=Config(signature_version="s3v4"))


@pytest.fixture(scope="module")
def bucket(aws: object) -> str:  # noqa: ARG001 - used by boto3
    """A versioned bucket with object lock and ACLs, and one object."""
    s3, name = any_client("s3"), f"conditions-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, ObjectOwnership="ObjectWriter")
    s3.put_object(Bucket=name, Key="a", Body=b"content", Tagging="team=a")
    return name


def set_policy(bucket: str, *conditions: dict[str, Any]) -> None:
    """Denies every request for which one of the conditions holds."""
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statements = [{**deny, "Resource": resources, "Condition": each} for each in conditions]
    policy = {"Version": "2012-10-17", "Statement": statements}
    any_client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def denied(calls: dict[str, Call], s3: Any, bucket: str) -> set[str]:
    """Returns the names of the calls that are denied. Raises for any other error."""
    names: set[str] = set()
    for name, call in calls.items():
        try:
            call(s3, bucket)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 403:
                raise
            names.add(name)
    return names


def send(method: str, url: str, **options: Any) -> None:
    raise_for_status(urllib3.request(method, url, **options).status)


def raise_for_status(status: int) -> None:
    if status >= 300:
        raise ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "request")  # pyright: ignore[reportArgumentType]


def by_url(operation: str, method: str, **parameters: str) -> Call:
    def call(s3: Any, bucket: str) -> None:
        send(method, s3.generate_presigned_url(operation, {"Bucket": bucket, **parameters}), body=b"x")

    return call


def form(s3: Any, bucket: str, **fields: str) -> None:
    raise_for_status(
        post_form(s3._request_signer._credentials, f"{s3.meta.endpoint_url}/{bucket}", {"key": "form", **fields})
    )


def delete_several(s3: Any, bucket: str) -> None:
    for error in s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "none"}]}).get("Errors", ()):
        assert error["Code"] == "AccessDenied"
        raise_for_status(403)


def upload(bucket: str, key: str) -> dict[str, str]:
    """Starts a multipart upload as the account root."""
    created = any_client("s3").create_multipart_upload(Bucket=bucket, Key=key)
    return {"Bucket": bucket, "Key": key, "UploadId": created["UploadId"]}


def complete(s3: Any, bucket: str) -> None:
    started = upload(bucket, "complete")
    part = any_client("s3").upload_part(**started, PartNumber=1, Body=b"x")
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    s3.complete_multipart_upload(**started, MultipartUpload={"Parts": parts})


def version(bucket: str) -> dict[str, str]:
    return {
        "Bucket": bucket,
        "Key": "a",
        "VersionId": any_client("s3").head_object(Bucket=bucket, Key="a")["VersionId"],
    }


OBJECT_CALLS: dict[str, Call] = {
    "put": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="b", Body=b"x"),
    "get": lambda s3, bucket: s3.get_object(Bucket=bucket, Key="a"),
    "get a range": lambda s3, bucket: s3.get_object(Bucket=bucket, Key="a", Range="bytes=0-1"),
    "get a version": lambda s3, bucket: s3.get_object(**version(bucket)),
    "head": lambda s3, bucket: s3.head_object(Bucket=bucket, Key="a"),
    "attributes": lambda s3, bucket: s3.get_object_attributes(Bucket=bucket, Key="a", ObjectAttributes=["ETag"]),
    "get tags": lambda s3, bucket: s3.get_object_tagging(Bucket=bucket, Key="a"),
    "get tags of a version": lambda s3, bucket: s3.get_object_tagging(**version(bucket)),
    "put tags": lambda s3, bucket: s3.put_object_tagging(Bucket=bucket, Key="a", Tagging={"TagSet": []}),
    "delete tags": lambda s3, bucket: s3.delete_object_tagging(Bucket=bucket, Key="a"),
    "get the ACL": lambda s3, bucket: s3.get_object_acl(Bucket=bucket, Key="a"),
    "put the ACL": lambda s3, bucket: s3.put_object_acl(Bucket=bucket, Key="a", ACL="private"),
    "put a legal hold": lambda s3, bucket: s3.put_object_legal_hold(
        Bucket=bucket, Key="a", LegalHold={"Status": "OFF"}
    ),
    "get a legal hold": lambda s3, bucket: s3.get_object_legal_hold(Bucket=bucket, Key="a"),
    "copy": lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/a"),
    "delete": lambda s3, bucket: s3.delete_object(Bucket=bucket, Key="none"),
    "delete several": delete_several,
    "start an upload": lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, Key="upload"),
    "upload a part": lambda s3, bucket: s3.upload_part(**upload(bucket, "part"), PartNumber=1, Body=b"x"),
    "copy a part": lambda s3, bucket: s3.upload_part_copy(
        **upload(bucket, "part"), PartNumber=1, CopySource=f"{bucket}/a"
    ),
    "list parts": lambda s3, bucket: s3.list_parts(**upload(bucket, "part")),
    "complete an upload": complete,
    "abort an upload": lambda s3, bucket: s3.abort_multipart_upload(**upload(bucket, "part")),
    "get by URL": by_url("get_object", "GET", Key="a"),
    "put by URL": by_url("put_object", "PUT", Key="url"),
    "delete by URL": by_url("delete_object", "DELETE", Key="none"),
    "form": form,
}
BUCKET_CALLS: dict[str, Call] = {
    "list": lambda s3, bucket: s3.list_objects_v2(Bucket=bucket),
    "list versions": lambda s3, bucket: s3.list_object_versions(Bucket=bucket),
    "list uploads": lambda s3, bucket: s3.list_multipart_uploads(Bucket=bucket),
    "list by URL": by_url("list_objects_v2", "GET"),
    "location": lambda s3, bucket: s3.get_bucket_location(Bucket=bucket),
    "head of the bucket": lambda s3, bucket: s3.head_bucket(Bucket=bucket),
    "versioning": lambda s3, bucket: s3.get_bucket_versioning(Bucket=bucket),
    "policy": lambda s3, bucket: s3.get_bucket_policy(Bucket=bucket),
}
CALLS = OBJECT_CALLS | BUCKET_CALLS


def test_every_request_has_the_condition_keys(role: Role, s3: Any, bucket: str) -> None:
    keys = {
        "aws:PrincipalArn": role.arn,
        "aws:PrincipalAccount": ACCOUNT,
        "aws:PrincipalTag/sandpiper:tenant": "claims",
        "aws:PrincipalIsAWSService": "false",
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
    }
    # An operator with a negation also holds if the request does not have the key.
    set_policy(bucket, *({"StringNotEquals": {name: value}} for name, value in keys.items()))
    assert denied(CALLS, s3, bucket) == set()
    set_policy(bucket, {"StringEquals": keys})
    assert denied(CALLS, s3, bucket) == set(CALLS)


def test_requests_from_outside_of_a_vpc_do_not_have_its_key(s3: Any, bucket: str) -> None:
    set_policy(bucket, {"Null": {"aws:SourceVpc": "false"}})
    assert denied(CALLS, s3, bucket) == set()


ENCRYPTED: dict[str, Call] = {
    "put": lambda s3, bucket: s3.put_object(Bucket=bucket, Key="c", Body=b"x", **CUSTOMER_KEY),
    "start an upload": lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, Key="c", **CUSTOMER_KEY),
    "copy": lambda s3, bucket: s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/a", **CUSTOMER_KEY),
    "put by URL": lambda s3, bucket: send(
        "PUT",
        s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "c", "SSECustomerAlgorithm": "AES256"}),
        body=b"x",
        headers={CUSTOMER_KEY_HEADER: "AES256"},
    ),
    "form": lambda s3, bucket: form(s3, bucket, **{CUSTOMER_KEY_HEADER: "AES256"}),
}


def test_every_request_that_creates_an_object_has_the_key_of_customer_provided_keys(s3: Any, bucket: str) -> None:
    set_policy(bucket, {"Null": {f"s3:{CUSTOMER_KEY_HEADER}": "false"}})
    assert denied(ENCRYPTED, s3, bucket) == set(ENCRYPTED)
    assert denied(OBJECT_CALLS, s3, bucket) == set()
