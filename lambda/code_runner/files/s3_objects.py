"""Objects in S3 as they were read: their size, ETag and SHA-256."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_contract.s3_objects import S3Object


@dataclass(frozen=True)
class StoredObject:
    """An object with its size in bytes, and the ETag that it must still have when it is read."""

    address: S3Object
    size: int
    etag: str


def sha256_of(response: Mapping[str, Any]) -> str | None:
    """Returns the SHA-256 of a whole object, in hexadecimal, from a response of S3.

    None if the response has no checksum or a composite checksum of parts, which ends with their number.
    """
    try:
        return base64.b64decode(response["ChecksumSHA256"], validate=True).hex()
    except (KeyError, ValueError):
        return None
