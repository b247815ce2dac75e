"""Objects in S3 as they were read: their size, ETag and SHA-256."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_s3 import S3Client

    from sandpiper_contract.s3_objects import S3Object

SHA256_METADATA = "sha256"
"""Metadata key for the SHA-256 of an output file, by which a repeated upload is recognized."""


@dataclass(frozen=True)
class StoredObject:
    """An object with its size in bytes, and the ETag that it must still have when it is read."""

    address: S3Object
    size: int
    etag: str


def has_content(s3: S3Client, target: S3Object, size: int, sha256: str) -> bool:
    """Returns whether an object has this content, because an earlier call stored it. Raises botocore's errors.

    S3 has verified the checksum of an object that was stored in one request. An object that was stored in parts has no
    checksum of the whole; its metadata then has the digest, which only the function writes.
    """
    response = s3.head_object(Bucket=target.bucket, Key=target.key, ChecksumMode="ENABLED")
    stored = _sha256_of(response) or response["Metadata"].get(SHA256_METADATA)
    return (response["ContentLength"], stored) == (size, sha256)


def _sha256_of(response: Mapping[str, Any]) -> str | None:
    """Returns the SHA-256 of a whole object, in hexadecimal, from a response of S3.

    None if the response has no checksum or a composite checksum of parts, which ends with their number.
    """
    try:
        return base64.b64decode(response["ChecksumSHA256"], validate=True).hex()
    except (KeyError, ValueError):
        return None
