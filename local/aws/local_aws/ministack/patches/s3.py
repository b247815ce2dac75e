"""Object operations of S3: exact object keys in IAM decisions, CopyObject, and default KMS encryption."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions
from ministack.services import s3

from local_aws.settings import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
ENCRYPTION_HEADER = "x-amz-server-side-encryption"
KEY_HEADER = f"{ENCRYPTION_HEADER}-aws-kms-key-id"
AWS_MANAGED_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/aws/s3"
"""The AWS managed key for S3. It encrypts objects when a request specifies KMS without a key."""
_extract_resource_arn = iam_actions.extract_resource_arn
_copy_object = s3._copy_object
_encryption_of_write = s3._resolve_sse_write_headers


def install() -> None:
    """Replaces functions of MiniStack's S3."""
    iam_actions.extract_resource_arn = extract_resource_arn
    s3._copy_object = copy_object
    s3._resolve_sse_write_headers = encryption_of_write


def extract_resource_arn(service: str, method: str, path: str, *arguments: Any) -> str:
    """Returns the ARN of a request's resource, with the object key as S3 stores it.

    MiniStack drops empty path segments, so that a permission for `a/b` would allow the key `/a/b`.
    """
    arn = _extract_resource_arn(service, method, path, *arguments)
    bucket, slash, key = path.lstrip("/").partition("/")
    normalized_arn = f"arn:aws:s3:::{'/'.join(segment for segment in path.split('/') if segment)}"
    return f"arn:aws:s3:::{bucket}{slash}{key}" if service == "s3" and key and arn == normalized_arn else arn


def copy_object(bucket: str, key: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Handles CopyObject. Adds If-None-Match and the checksum of the requested algorithm, which MiniStack ignores."""
    target = s3._ensure_bucket(bucket)
    if target and (failure := s3._check_put_preconditions(headers, target["objects"].get(key))):
        return failure
    algorithm = headers.get("x-amz-checksum-algorithm", "").upper()
    status, response_headers, body = _copy_object(bucket, key, headers)
    if status == 200 and algorithm:
        copy = s3._ensure_bucket(bucket)["objects"][key]
        checksum = s3._compute_s3_checksum(algorithm, s3._read_body(bucket, key, copy))
        copy["checksums"] = {algorithm: checksum}
        elements = f"<Checksum{algorithm}>{checksum}</Checksum{algorithm}><ChecksumType>FULL_OBJECT</ChecksumType>"
        body = body.replace(b"</CopyObjectResult>", elements.encode() + b"</CopyObjectResult>")
    return status, response_headers, body


def encryption_of_write(headers: Mapping[str, str], bucket: str) -> Any:
    """Returns the encryption of an object that is written. MiniStack rejects KMS encryption without a key."""
    has_no_key = headers.get(ENCRYPTION_HEADER) == "aws:kms" and not headers.get(KEY_HEADER)
    return _encryption_of_write({**headers, KEY_HEADER: AWS_MANAGED_KEY} if has_no_key else headers, bucket)
