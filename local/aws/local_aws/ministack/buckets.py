"""What a template says of a bucket, put by S3's own operations: MiniStack sets up versioning, CORS, notifications, a
website and the block of public access, and would delete a bucket with what is in it.

Written against MiniStack 1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.serialize import create_serializer
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local_aws.ministack import bucket_requests, roles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Properties = Mapping[str, Any]
    Answer = tuple[int, dict[str, str], bytes]

BUCKET = "AWS::S3::Bucket"
ENCRYPTION = "x-amz-server-side-encryption"
KEY = f"{ENCRYPTION}-aws-kms-key-id"
AWS_KEY = f"arn:aws:kms:{roles.REGION}:{roles.ACCOUNT}:alias/aws/s3"
"""The account's own for S3, which encrypts where KMS shall and no key is named."""
NOT_EMPTY = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
_create, _update = provisioners._s3_create, provisioners._s3_update
_encryption_of_write = s3._resolve_sse_write_headers
_service = botocore.session.get_session().get_service_model("s3")
_serializer = create_serializer("rest-xml", include_validation=False)


@dataclass(frozen=True)
class Setting:
    """A property of a bucket.

    Attributes:
        operation: S3's, whose body is made of the property.
        members: the operation's members, from the property.
        put: MiniStack's.
        without: what is put when a template does not have the property any more; None: it is deleted.
        delete: MiniStack's, for that.
    """

    operation: str
    members: Callable[[Any], dict[str, Any]]
    put: Callable[[str, bytes], Answer]
    without: Any = None
    delete: Callable[[str], Answer] | None = None


SETTINGS: Mapping[str, Setting] = {
    "BucketEncryption": Setting(
        "PutBucketEncryption",
        bucket_requests.encryption,
        s3._put_bucket_encryption,
        delete=s3._delete_bucket_encryption,
    ),
    "LifecycleConfiguration": Setting(
        "PutBucketLifecycleConfiguration",
        bucket_requests.lifecycle,
        s3._put_bucket_lifecycle,
        delete=s3._delete_bucket_lifecycle,
    ),
    "LoggingConfiguration": Setting("PutBucketLogging", bucket_requests.logging, s3._put_bucket_logging, without={}),
    "OwnershipControls": Setting(
        "PutBucketOwnershipControls",
        bucket_requests.ownership,
        s3._put_bucket_ownership_controls,
        delete=s3._delete_bucket_ownership_controls,
    ),
    "Tags": Setting("PutBucketTagging", bucket_requests.tags, s3._put_bucket_tagging, delete=s3._delete_bucket_tagging),
    "VersioningConfiguration": Setting(
        "PutBucketVersioning",
        bucket_requests.versioning,
        s3._put_bucket_versioning,
        without={"Status": "Suspended"},
    ),
}


def install() -> None:
    """Puts these functions into the place of MiniStack's."""
    handlers = provisioners._RESOURCE_HANDLERS[BUCKET]
    provisioners._RESOURCE_HANDLERS[BUCKET] = {**handlers, "create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[BUCKET] = ("BucketName",)
    provisioners._STACK_TAG_PROPERTY[BUCKET] = ("Tags", "list")
    s3._resolve_sse_write_headers = encryption_of_write


def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
    """A bucket with all its settings, or none."""
    name, attributes = _create(logical_id, properties, stack_name)
    try:
        _set_up(name, {}, properties)
    except ValueError:
        s3._delete_bucket(name)
        raise
    return name, attributes


def update(name: str, before: Properties, after: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
    """The same bucket, with settings that changed or went."""
    updated = _update(name, before, after, stack_name)
    _set_up(name, before, after)
    return updated


def delete(name: str, _: Properties) -> None:
    """Ends an empty bucket; one that is gone is no error."""
    status, _, body = s3._delete_bucket(name)
    if status == 409:
        raise ValueError(f"{NOT_EMPTY} (Service: S3, Status Code: {status})")
    if status >= 400 and b"NoSuchBucket" not in body:
        raise ValueError(body.decode())


def encryption_of_write(headers: Mapping[str, str], bucket: str) -> Any:
    """What MiniStack keeps of how an object is encrypted. It refuses a write by KMS that names no key."""
    names_none = headers.get(ENCRYPTION) == "aws:kms" and not headers.get(KEY)
    return _encryption_of_write({**headers, KEY: AWS_KEY} if names_none else headers, bucket)


def _set_up(name: str, before: Properties, after: Properties) -> None:
    for property_name, setting in SETTINGS.items():
        given = after.get(property_name)
        if given is None and property_name in before:
            given = setting.without
            if setting.delete is not None:
                setting.delete(name)
        if given is not None and given != before.get(property_name):
            status, _, body = setting.put(name, _body(setting.operation, setting.members(given)))
            if status >= 400:
                raise ValueError(f"{property_name}: {body.decode()}")


def _body(operation: str, members: dict[str, Any]) -> bytes:
    """An operation's body, as boto3 sends it."""
    request = _serializer.serialize_to_request({"Bucket": "any", **members}, _service.operation_model(operation))
    return request["body"]
