"""`AWS::S3::Bucket`: applies the properties of a template with S3's own operations.

MiniStack applies versioning, CORS, notifications, website and public access block only, and deletes buckets that are
not empty.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.serialize import create_serializer
from ministack.services import s3
from ministack.services.cloudformation import provisioners

from local_aws.ministack import bucket_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Properties = Mapping[str, Any]
    HttpResponse = tuple[int, dict[str, str], bytes]

MINISTACK_VERSION = "1.5.33"
BUCKET = "AWS::S3::Bucket"
NOT_EMPTY = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
_create, _update = provisioners._s3_create, provisioners._s3_update
_service = botocore.session.get_session().get_service_model("s3")
_serializer = create_serializer("rest-xml", include_validation=False)


@dataclass(frozen=True)
class Setting:
    """A property of a bucket and the operations that apply it.

    Attributes:
        operation: The S3 operation, whose request body contains the setting.
        members: Returns the members of the operation for a value of the property.
        put: MiniStack's function for the operation.
        removed_value: Value that is put when a template no longer has the property. None: `delete` is called.
        delete: MiniStack's function that deletes the setting.
    """

    operation: str
    members: Callable[[Any], dict[str, Any]]
    put: Callable[[str, bytes], HttpResponse]
    removed_value: Any = None
    delete: Callable[[str], HttpResponse] | None = None


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
    "LoggingConfiguration": Setting(
        "PutBucketLogging", bucket_requests.logging, s3._put_bucket_logging, removed_value={}
    ),
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
        removed_value={"Status": "Suspended"},
    ),
}


def install() -> None:
    """Replaces MiniStack's handlers of the resource type."""
    handlers = provisioners._RESOURCE_HANDLERS[BUCKET]
    provisioners._RESOURCE_HANDLERS[BUCKET] = {**handlers, "create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[BUCKET] = ("BucketName",)
    provisioners._STACK_TAG_PROPERTY[BUCKET] = ("Tags", "list")


def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
    """Creates a bucket with its settings. Deletes it again when a setting is rejected."""
    name, attributes = _create(logical_id, properties, stack_name)
    try:
        _apply_settings(name, {}, properties)
    except ValueError:
        s3._delete_bucket(name)
        raise
    return name, attributes


def update(name: str, before: Properties, after: Properties, stack_name: str) -> tuple[str, dict[str, str]]:
    """Applies changed and removed settings to a bucket."""
    updated = _update(name, before, after, stack_name)
    _apply_settings(name, before, after)
    return updated


def delete(name: str, _: Properties) -> None:
    """Deletes a bucket. Does nothing when it does not exist.

    Raises:
        ValueError: The bucket is not empty, or S3 rejects the request.
    """
    status, _, body = s3._delete_bucket(name)
    if status == 409:
        raise ValueError(f"{NOT_EMPTY} (Service: S3, Status Code: {status})")
    if status >= 400 and b"NoSuchBucket" not in body:
        raise ValueError(body.decode())


def _apply_settings(name: str, before: Properties, after: Properties) -> None:
    for property_name, setting in SETTINGS.items():
        value = after.get(property_name)
        if value is None and property_name in before:
            value = setting.removed_value
            if setting.delete is not None:
                setting.delete(name)
        if value is not None and value != before.get(property_name):
            status, _, body = setting.put(name, _body(setting.operation, setting.members(value)))
            if status >= 400:
                raise ValueError(f"{property_name}: {body.decode()}")


def _body(operation: str, members: dict[str, Any]) -> bytes:
    """Returns the request body of an operation, serialized like boto3."""
    request = _serializer.serialize_to_request({"Bucket": "any", **members}, _service.operation_model(operation))
    return request["body"]
