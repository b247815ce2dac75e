"""KMS permissions for encrypted objects. S3 uses a key on behalf of the principal that reads or writes an object.

The check applies to HTTP requests. Step Functions and CloudFormation access S3 without it.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_evaluator
from ministack.services import kms, s3

from local_aws.ministack.gateway import current_request
from local_aws.ministack.patches import iam, iam_roles
from local_aws.ministack.patches.s3 import AWS_MANAGED_KEY, ENCRYPTION_HEADER, KEY_HEADER
from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
S3_ARN = "arn:aws:s3:::"
READ_ACTIONS = ("s3:GetObject", "s3:GetObjectVersion")
WRITE_ACTIONS = ("s3:PutObject",)
_enforce = iam_evaluator.enforce


def install() -> None:
    """Adds the check to MiniStack's access control."""
    iam_evaluator.enforce = enforce


def enforce(
    access_key_id: str,
    action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    *arguments: Any,
    **options: Any,
) -> Any:
    """Decides a request. If it reads or writes an encrypted object, also checks the permission to use the key."""
    denial = _enforce(access_key_id, action, service, region, resource_arn, *arguments, **options)
    if denial is not None or action not in (*READ_ACTIONS, *WRITE_ACTIONS) or not resource_arn.startswith(S3_ARN):
        return denial
    bucket, _, key = resource_arn.removeprefix(S3_ARN).partition("/")
    key_use = _key_use(action, bucket, key)
    if key_use is None:
        return None
    (kms_action, key_arn), principal = key_use, None
    try:
        principal = iam_roles.calling_principal()
        iam_roles.require_permission(principal, kms_action, key_arn, _condition_keys(bucket, resource_arn))
    except iam_roles.AccessDeniedError as error:
        principal_arn = principal.arn if principal else ""
        iam.set_denial_message(action, principal_arn, str(error))
        return iam_evaluator.EvalResult("ImplicitDeny", principal_arn)
    return None


def key_arn(key_id: str) -> str:
    """Returns the ARN of a key by its ID or ARN."""
    record: Mapping[str, Any] = kms._resolve_key(key_id) or {}
    default_arn = key_id if key_id.startswith("arn:") else f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"
    return str(record.get("Arn", default_arn))


def is_allowed_to_service(service: str, key_id: str, encryption_context: Mapping[str, str]) -> bool:
    """Returns whether the policy of a key lets a service without a role encrypt data."""
    keys = {f"kms:EncryptionContext:{name}": value for name, value in encryption_context.items()}
    return iam_roles.is_allowed_to_service(service, "kms:Encrypt", key_arn(key_id), keys)


def _key_use(action: str, bucket: str, key: str) -> tuple[str, str] | None:
    """Returns the KMS action and the ARN of the key, or None when no permission is needed.

    HEAD requests use no key, and every principal of the account may use the AWS managed key through S3. Uploading a
    part needs `kms:Decrypt`, because S3 decrypts the data key of the upload.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    request = current_request.get()
    query = parse_qs(request.query) if request else {}
    upload = s3._multipart_uploads.get(query.get("uploadId", [""])[0])
    if action in WRITE_ACTIONS and upload is not None:
        kms_action, encryption = "kms:Decrypt", upload["preserved_headers"]
    elif action in WRITE_ACTIONS:
        headers = s3._merge_hoisted_amz_headers(request.headers, query) if request else {}
        kms_action, encryption = "kms:GenerateDataKey", s3._resolve_sse_write_headers(headers, bucket)[0] or {}
    elif request and request.method == "HEAD":
        return None
    else:
        version = query.get("versionId", [""])[0]
        kms_action, encryption = "kms:Decrypt", _stored_encryption(bucket, key, version)
    is_kms = encryption.get(ENCRYPTION_HEADER) == "aws:kms"
    key_id = encryption.get(KEY_HEADER, AWS_MANAGED_KEY) if is_kms else AWS_MANAGED_KEY
    if key_id == AWS_MANAGED_KEY:
        return None
    return kms_action, key_arn(key_id)


def _stored_encryption(bucket: str, key: str, version: str) -> Mapping[str, str]:
    """Returns the encryption headers of an object, or of one of its versions."""
    record = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key)
    if version and (record or {}).get("version_id") != version:
        versions = s3._object_versions.get((bucket, key), [])
        record = next(
            (s3._object_record_from_version(each) for each in versions if each["version_id"] == version), None
        )
    return (record or {}).get("preserved_headers", {})


def _condition_keys(bucket: str, resource_arn: str) -> dict[str, str | list[str]]:
    """Returns the condition keys of S3's call to KMS.

    The encryption context is the bucket if the bucket has an S3 Bucket Key, otherwise the object.
    """
    has_bucket_key = "<BucketKeyEnabled>true" in s3._bucket_encryption.get(bucket, "")
    return {
        "kms:ViaService": f"s3.{REGION}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT,
        "kms:EncryptionContext:aws:s3:arn": f"{S3_ARN}{bucket}" if has_bucket_key else resource_arn,
        "kms:EncryptionContextKeys": ["aws:s3:arn"],
    }
