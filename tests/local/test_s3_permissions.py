"""S3 permissions that depend on the headers of a request: it fails without the permission and succeeds with it."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
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
    from collections.abc import Callable

    from local_aws.running_instance import RunningInstance

    Call = Callable[[Any, str], object]

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates buckets and roles")

UNTIL = datetime.now(UTC) + timedelta(days=1)
GOVERNANCE = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": UNTIL}


@pytest.fixture(scope="module")
def bucket(aws: object) -> str:  # noqa: ARG001 - used by boto3
    """A versioned bucket with object lock and ACLs, and an object without and one with tags."""
    s3, name = any_client("s3"), f"headers-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True, ObjectOwnership="ObjectWriter")
    s3.put_object(Bucket=name, Key="plain", Body=b"plain")
    s3.put_object(
        Bucket=name, Key="tagged", Body=b"tagged", Tagging="team=a", ObjectLockLegalHoldStatus="ON", **GOVERNANCE
    )
    s3.put_object(Bucket=name, Key="//odd/key", Body=b"odd")
    return name


@pytest.fixture(scope="module")
def role(aws: object) -> Role:  # noqa: ARG001 - used by boto3
    name = f"headers-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    any_client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))
    return Role(name)


@pytest.fixture(scope="module")
def s3(role: Role) -> Any:
    """A client with the role."""
    session: Any = role.session()
    return session.client("s3")


def denied_action(call: Callable[[], object]) -> str:
    """Returns the action that is denied, or "" when the call succeeds."""
    try:
        call()
    except ClientError as error:
        message: str = error.response.get("Error", {}).get("Message", "")
        return message.partition("perform: ")[2].partition(" ")[0] or message
    return ""


def put(**options: Any) -> Call:
    return lambda s3, bucket: s3.put_object(Bucket=bucket, Key=f"put-{uuid.uuid4().hex}", Body=b"x", **options)


def upload(**options: Any) -> Call:
    return lambda s3, bucket: s3.create_multipart_upload(Bucket=bucket, Key=f"upload-{uuid.uuid4().hex}", **options)


def copy(source: str, **options: Any) -> Call:
    return lambda s3, bucket: s3.copy_object(
        Bucket=bucket, Key=f"copy-{uuid.uuid4().hex}", CopySource=f"{bucket}/{source}", **options
    )


def create_bucket(**options: Any) -> Call:
    return lambda s3, _: s3.create_bucket(Bucket=f"new-{uuid.uuid4().hex[:8]}", **options)


def delete_retained(s3: Any, bucket: str) -> None:
    version = put_as_root(bucket, **GOVERNANCE)
    s3.delete_object(Bucket=bucket, Key="retained", VersionId=version, BypassGovernanceRetention=True)


def delete_versions(s3: Any, bucket: str) -> None:
    objects = [{"Key": "retained", "VersionId": put_as_root(bucket)}]
    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})


def put_as_root(bucket: str, **options: Any) -> str:
    return any_client("s3").put_object(Bucket=bucket, Key="retained", Body=b"x", **options)["VersionId"]


def read_version(s3: Any, bucket: str) -> None:
    s3.get_object(
        Bucket=bucket, Key="plain", VersionId=any_client("s3").head_object(Bucket=bucket, Key="plain")["VersionId"]
    )


def put_with_grant(s3: Any, bucket: str) -> None:
    owner = any_client("s3").list_buckets()["Owner"]["ID"]
    s3.put_object(Bucket=bucket, Key="granted", Body=b"x", GrantRead=f'id="{owner}"')


def replace_matching(s3: Any, bucket: str) -> None:
    etag = any_client("s3").head_object(Bucket=bucket, Key="plain")["ETag"]
    s3.put_object(Bucket=bucket, Key="plain", Body=b"plain", IfMatch=etag)


WRITE, READ = ("s3:PutObject",), ("s3:PutObject", "s3:GetObject")
CALLS: dict[str, tuple[tuple[str, ...], str, Call]] = {
    "put with tags": (WRITE, "s3:PutObjectTagging", put(Tagging="team=a")),
    "put with an ACL": (WRITE, "s3:PutObjectAcl", put(ACL="bucket-owner-full-control")),
    "put with a grant": (WRITE, "s3:PutObjectAcl", put_with_grant),
    "put with a retention": (WRITE, "s3:PutObjectRetention", put(**GOVERNANCE)),
    "put with a legal hold": (WRITE, "s3:PutObjectLegalHold", put(ObjectLockLegalHoldStatus="ON")),
    "put if it matches": (WRITE, "s3:GetObject", replace_matching),
    "upload with tags": (WRITE, "s3:PutObjectTagging", upload(Tagging="team=a")),
    "upload with an ACL": (WRITE, "s3:PutObjectAcl", upload(ACL="bucket-owner-full-control")),
    "upload with a retention": (WRITE, "s3:PutObjectRetention", upload(**GOVERNANCE)),
    "upload with a legal hold": (WRITE, "s3:PutObjectLegalHold", upload(ObjectLockLegalHoldStatus="ON")),
    "copy with new tags": (READ, "s3:PutObjectTagging", copy("plain", Tagging="a=b", TaggingDirective="REPLACE")),
    "copy with an ACL": (READ, "s3:PutObjectAcl", copy("plain", ACL="bucket-owner-full-control")),
    "copy with a retention": (READ, "s3:PutObjectRetention", copy("plain", **GOVERNANCE)),
    "copy of tags, written": ((*READ, "s3:GetObjectTagging"), "s3:PutObjectTagging", copy("tagged")),
    "copy of tags, read": ((*READ, "s3:PutObjectTagging"), "s3:GetObjectTagging", copy("tagged")),
    "bucket with an ACL": (("s3:CreateBucket", "s3:PutBucketOwnershipControls"), "s3:PutBucketAcl",
                           create_bucket(ACL="private", ObjectOwnership="ObjectWriter")),
    "bucket with ownership": (("s3:CreateBucket",), "s3:PutBucketOwnershipControls",
                              create_bucket(ObjectOwnership="ObjectWriter")),
    "bucket with object lock": (("s3:CreateBucket", "s3:PutBucketVersioning"), "s3:PutBucketObjectLockConfiguration",
                                create_bucket(ObjectLockEnabledForBucket=True)),
    "bypass of a retention": (("s3:DeleteObjectVersion",), "s3:BypassGovernanceRetention", delete_retained),
    "deletion of a version": (("s3:DeleteObject",), "s3:DeleteObjectVersion", delete_versions),
    "read of a version": (("s3:GetObject",), "s3:GetObjectVersion", read_version),
}  # fmt: skip
"""Allowed actions, the action that is missing, and the call, by description."""


@pytest.mark.parametrize("name", CALLS)
def test_request_needs_the_permission(name: str, role: Role, s3: Any, bucket: str) -> None:
    allowed, missing, call = CALLS[name]
    role.set_permissions(allow(*allowed))
    assert denied_action(lambda: call(s3, bucket)) == missing
    role.set_permissions(allow(*allowed, missing))
    assert denied_action(lambda: call(s3, bucket)) == ""


@pytest.mark.parametrize(
    "call",
    [put(), upload(), copy("plain"), copy("tagged", TaggingDirective="REPLACE"), put(StorageClass="STANDARD_IA")],
)
def test_request_without_such_headers_needs_no_further_permission(call: Call, role: Role, s3: Any, bucket: str) -> None:
    role.set_permissions(allow(*READ))
    assert denied_action(lambda: call(s3, bucket)) == ""


def test_permission_applies_to_the_exact_key(role: Role, s3: Any, bucket: str) -> None:
    role.set_permissions(allow(*WRITE), allow("s3:PutObjectTagging", resource=f"arn:aws:s3:::{bucket}/odd/key"))
    written = {"Bucket": bucket, "Key": "//odd/key", "Body": b"x", "Tagging": "a=b"}
    assert denied_action(lambda: s3.put_object(**written)) == "s3:PutObjectTagging"
    role.set_permissions(allow(*WRITE), allow("s3:PutObjectTagging", resource=f"arn:aws:s3:::{bucket}///odd/key"))
    assert denied_action(lambda: s3.put_object(**written)) == ""


def test_presigned_url_with_tags_needs_the_permission_of_its_signer(role: Role, bucket: str) -> None:
    session: Any = role.session()
    signer = session.client("s3", config=Config(signature_version="s3v4"))
    url = signer.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "presigned", "Tagging": "team=a"})

    def put() -> int:
        return urllib3.request("PUT", url, body=b"x", headers={"x-amz-tagging": "team=a"}).status

    role.set_permissions(allow(*WRITE))
    assert put() == 403
    role.set_permissions(allow(*WRITE, "s3:PutObjectTagging"))
    assert put() == 200


def test_form_needs_the_permissions_of_its_fields(role: Role, bucket: str, aws: RunningInstance) -> None:
    session: Any = role.session()
    credentials = session.get_credentials()

    def post(**fields: str) -> int:
        return post_form(credentials, f"{aws.url}/{bucket}", fields)

    role.set_permissions(allow("s3:PutObject", resource=[f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/forms/*"]))
    assert post(key="forms/a") == 204
    assert post(key="other/a") == 403
    assert post(key="forms/b", acl="bucket-owner-full-control") == 403
    assert post(key="forms/c", **{"x-amz-tagging": "<Tagging/>"}) == 403


CONDITIONS: dict[str, tuple[dict[str, Any], Call, Call]] = {
    "s3:x-amz-acl": ({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
                     put(ACL="bucket-owner-full-control"), put(ACL="private")),
    "s3:RequestObjectTag": ({"StringEquals": {"s3:RequestObjectTag/team": "a"}}, put(Tagging="team=a"),
                            put(Tagging="team=b")),
    "s3:RequestObjectTagKeys": ({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["team"]}},
                                put(Tagging="team=a"), put(Tagging="team=a&other=b")),
    "s3:object-lock-mode": ({"StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}, put(**GOVERNANCE),
                            put(**{**GOVERNANCE, "ObjectLockMode": "COMPLIANCE"})),
    "s3:x-amz-storage-class": ({"StringEquals": {"s3:x-amz-storage-class": "STANDARD_IA"}},
                               put(StorageClass="STANDARD_IA"), put(StorageClass="GLACIER")),
    "s3:if-none-match": ({"Null": {"s3:if-none-match": "false"}}, put(IfNoneMatch="*"), put()),
}  # fmt: skip
"""A condition, a call that meets it and one that does not, by condition key."""


@pytest.mark.parametrize("name", CONDITIONS)
def test_request_has_the_condition_key(name: str, role: Role, s3: Any, bucket: str) -> None:
    condition, met, unmet = CONDITIONS[name]
    actions = ("s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:PutObjectRetention")
    role.set_permissions(allow(*actions, Condition=condition))
    assert denied_action(lambda: met(s3, bucket)) == ""
    assert denied_action(lambda: unmet(s3, bucket)) == "s3:PutObject"


def test_tagging_a_tagged_object_has_both_tag_keys(role: Role, s3: Any, bucket: str) -> None:
    condition = {"StringEquals": {"s3:ExistingObjectTag/team": "a", "s3:RequestObjectTag/team": "a"}}
    role.set_permissions(allow("s3:PutObjectTagging", Condition=condition))

    def tag(key: str, team: str) -> str:
        tags = {"TagSet": [{"Key": "team", "Value": team}]}
        return denied_action(lambda: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tags))

    assert [tag("tagged", "a"), tag("tagged", "b"), tag("plain", "a")] == ["", *["s3:PutObjectTagging"] * 2]


def test_response_shows_tags_and_locks_only_with_the_permission_to_read_them(role: Role, s3: Any, bucket: str) -> None:
    def shown() -> set[str]:
        response = s3.get_object(Bucket=bucket, Key="tagged")
        return {
            "TagCount",
            "ObjectLockMode",
            "ObjectLockRetainUntilDate",
            "ObjectLockLegalHoldStatus",
        } & response.keys()

    role.set_permissions(allow("s3:GetObject"))
    assert shown() == set()
    role.set_permissions(allow("s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectLegalHold"))
    assert shown() == {"TagCount", "ObjectLockLegalHoldStatus"}
    role.set_permissions(allow("s3:GetObject", "s3:GetObjectRetention"))
    assert shown() == {"ObjectLockMode", "ObjectLockRetainUntilDate"}


def test_bucket_policy_denies_by_header(role: Role, s3: Any, bucket: str) -> None:
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObjectTagging",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"s3:RequestObjectTag/team": "b"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    role.set_permissions(allow("s3:*"))
    any_client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)
    try:
        assert denied_action(lambda: put(Tagging="team=a")(s3, bucket)) == ""
        assert denied_action(lambda: put(Tagging="team=b")(s3, bucket)) == "s3:PutObjectTagging"
    finally:
        any_client("s3").delete_bucket_policy(Bucket=bucket)
