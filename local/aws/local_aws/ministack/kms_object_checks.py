"""S3 uses a KMS key in the name of whoever reads or writes an object: who may not use the key can do neither.

For requests; what Step Functions and CloudFormation do with S3 themselves asks for no key. Written against MiniStack
1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_evaluator
from ministack.services import kms, s3

from local_aws.ministack import policies, roles
from local_aws.ministack.buckets import AWS_KEY, ENCRYPTION, KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.ministack.gateway import Request

OBJECT = "arn:aws:s3:::"
READS = ("s3:GetObject", "s3:GetObjectVersion")
WRITES = ("s3:PutObject",)
current_request: contextvars.ContextVar[Request | None] = contextvars.ContextVar("current_request", default=None)
"""The request that is being answered."""
_enforce = iam_evaluator.enforce


def install() -> None:
    """Puts this judgement behind MiniStack's own."""
    iam_evaluator.enforce = enforce


def enforce(
    access_key_id: str, action: str, service: str, region: str, resource_arn: str = "*", *rest: Any, **options: Any
) -> Any:
    """MiniStack's judgement of a request, and where it is about an object, that of the key which encrypts it."""
    denied = _enforce(access_key_id, action, service, region, resource_arn, *rest, **options)
    if denied is not None or action not in (*READS, *WRITES) or not resource_arn.startswith(OBJECT):
        return denied
    bucket, _, key = resource_arn.removeprefix(OBJECT).partition("/")
    used = _use(action, bucket, key)
    if used is None:
        return None
    (use, key_arn), asking = used, None
    try:
        asking = roles.caller()
        roles.require(asking, use, key_arn, _context(bucket, resource_arn))
    except roles.RoleError as error:
        caller = asking.arn if asking else ""
        policies.refuse(action, caller, str(error))
        return iam_evaluator.EvalResult("ImplicitDeny", caller)
    return None


def _use(action: str, bucket: str, key: str) -> tuple[str, str] | None:
    """What is done with which key; None without one, and where it is AWS's own for S3, which all may use through it.

    To tell what an object is (HEAD) takes no key. A part of an upload is checked against what was written before it.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    request = current_request.get()
    query = parse_qs(request.query) if request else {}
    upload = s3._multipart_uploads.get(query.get("uploadId", [""])[0])
    if action in WRITES and upload is not None:
        use, encrypted = "kms:Decrypt", upload["preserved_headers"]
    elif action in WRITES:
        headers = s3._merge_hoisted_amz_headers(request.headers, query) if request else {}
        use, encrypted = "kms:GenerateDataKey", s3._resolve_sse_write_headers(headers, bucket)[0] or {}
    elif request and request.method == "HEAD":
        return None
    else:
        version = query.get("versionId", [""])[0]
        use, encrypted = "kms:Decrypt", _stored(bucket, key, version)
    named = encrypted.get(KEY, AWS_KEY) if encrypted.get(ENCRYPTION) == "aws:kms" else AWS_KEY
    if named == AWS_KEY:
        return None
    known: Mapping[str, Any] = kms._resolve_key(named) or {}
    made_up = named if named.startswith("arn:") else f"arn:aws:kms:{roles.REGION}:{roles.ACCOUNT}:key/{named}"
    return use, str(known.get("Arn", made_up))


def _stored(bucket: str, key: str, version: str) -> Mapping[str, str]:
    """How an object, or one of its versions, was encrypted."""
    found = (s3._buckets.get(bucket) or {"objects": {}})["objects"].get(key)
    if version and (found or {}).get("version_id") != version:
        versions = s3._object_versions.get((bucket, key), [])
        found = next((s3._object_record_from_version(each) for each in versions if each["version_id"] == version), None)
    return (found or {}).get("preserved_headers", {})


def _context(bucket: str, resource_arn: str) -> dict[str, str | list[str]]:
    """Condition keys. What S3 encrypts for is the bucket where that has a bucket key, and the object where not."""
    has_bucket_key = "<BucketKeyEnabled>true" in s3._bucket_encryption.get(bucket, "")
    return {
        "kms:ViaService": f"s3.{roles.REGION}.amazonaws.com",
        "kms:CallerAccount": roles.ACCOUNT,
        "kms:EncryptionContext:aws:s3:arn": f"{OBJECT}{bucket}" if has_bucket_key else resource_arn,
        "kms:EncryptionContextKeys": ["aws:s3:arn"],
    }
