"""Presigned URLs of one run: each is valid for minutes, and for one object with one content.

Any caller that has such a URL can use it, so URLs are sent to the sandbox only and are never logged.
"""

from __future__ import annotations

import base64
import math
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from code_runner.files.content_types import content_type
from code_runner.files.s3_objects import SHA256_METADATA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

    from code_runner.files.s3_objects import StoredObject
    from sandpiper_contract.s3_objects import S3Object

URL_SECONDS = (60, 900)
"""Minimum and maximum lifetime of a URL: S3 checks it when a request begins."""


def put_url(s3: S3Client, target: S3Object, path: str, size: int, sha256: str, seconds: float) -> str:
    """Returns a URL that can create one object with exactly this content, and that cannot replace an object.

    Size, digest, type, metadata and the condition are signed headers, so a request without them is rejected.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html

    Args:
        s3: The client whose credentials sign the URL.
        target: The object.
        path: The path of the file, for its content type.
        size: The size of the content in bytes.
        sha256: The SHA-256 of the content in hexadecimal.
        seconds: How long the transfer may take. The lifetime of the URL is within URL_SECONDS.
    """
    parameters = {
        "Bucket": target.bucket,
        "Key": target.key,
        "ContentLength": size,
        "ContentType": content_type(path),
        "ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode(),
        "Metadata": {SHA256_METADATA: sha256},
        "IfNoneMatch": "*",
    }
    return s3.generate_presigned_url("put_object", Params=parameters, ExpiresIn=_lifetime(seconds))


def get_url(s3: S3Client, stored: StoredObject, seconds: float) -> str:
    """Returns a URL that can read one object while it has its present content."""
    address = stored.address
    parameters = {"Bucket": address.bucket, "Key": address.key, "IfMatch": stored.etag, "ChecksumMode": "ENABLED"}
    return s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=_lifetime(seconds))


def _lifetime(seconds: float) -> int:
    return min(max(math.ceil(seconds), URL_SECONDS[0]), URL_SECONDS[1])


def shortened(urls: Sequence[str]) -> dict[str, Any]:
    """Splits presigned URLs into what they share and what differs, because a command has little room for them.

    The script `transfer` joins them again: `base`, then the tail, the query and the signature of each URL.
    """
    split = [urlsplit(url) for url in urls]
    addresses = [f"{parts.scheme}://{parts.netloc}{parts.path}" for parts in split]
    base = os.path.commonprefix(addresses)  # noqa: RUF071 - characters, not folders
    queries: dict[str, int] = {}
    rows: list[tuple[str, int, str]] = []
    for address, parts in zip(addresses, split, strict=True):
        query, equals, signature = parts.query.rpartition("=")
        number = queries.setdefault(f"?{query}{equals}", len(queries))
        rows.append((address.removeprefix(base), number, signature))
    return {"base": base, "queries": list(queries), "urls": rows}
