"""Objects whose content is in a file. MiniStack reads, hashes and sends content as `bytes`."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import base64
import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import ministack.app
from defusedxml.ElementTree import fromstring
from ministack.services import s3

from local_aws.ministack.gateway import MEMORY_FULL
from local_aws.ministack.request_body import (
    MEBIBYTE,
    DiskFullError,
    FileBody,
    MemoryFullError,
    digest_of,
    in_file,
    require_memory,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from local_aws.ministack.request_body import Body

    Message = dict[str, Any]

MINISTACK_VERSION = "1.5.33"
PART_ORDER = "The list of parts was not in ascending order. The parts list must be specified in order by part number."
"""The message of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html"""
log = logging.getLogger("s3")
_read_request_body = ministack.app._read_request_body
_send_response = ministack.app._send_response
_compute_s3_checksum = s3._compute_s3_checksum
_get_object_data = s3._get_object_data
_complete_multipart_upload = s3._complete_multipart_upload


def install() -> None:
    """Replaces functions of MiniStack's S3 and of its HTTP application."""
    ministack.app._read_request_body = read_request_body
    ministack.app._send_response = send_response
    s3.md5_hash = md5_hash
    s3._compute_s3_checksum = compute_s3_checksum
    s3._get_object_data = get_object_data
    s3._complete_multipart_upload = complete_multipart_upload


async def read_request_body(receive: Callable[[], Awaitable[Message]], method: str, headers: dict[str, str]) -> Body:
    """Returns the body of a request, which the gateway sends in one message."""
    first = await receive()
    if isinstance(first.get("body"), FileBody):
        return first["body"]
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return await _read_request_body(replay, method, headers)


async def send_response(
    send: Callable[[Message], Awaitable[None]], status: int, headers: dict[str, str], body: Any, *, head: bool = False
) -> None:
    """Sends a response. Content from a file is sent in parts, so that it is not copied to memory."""
    if not isinstance(body, (FileBody, memoryview)):
        await _send_response(send, status, headers, body, head=head)
        return
    fields = ministack.app._asgi_header_list(headers)
    await send({"type": "http.response.start", "status": status, "headers": fields})
    for start in range(0, len(body), MEBIBYTE):
        part = bytes(body[start : start + MEBIBYTE])
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def md5_hash(content: Body) -> str:
    """Returns the MD5 as hexadecimal digits."""
    return digest_of(content, "md5").hex()


def compute_s3_checksum(algorithm: str, content: Body) -> str | None:
    """Returns the checksum in the notation of S3, or None for an unknown algorithm."""
    if isinstance(content, FileBody) and algorithm.upper() == "SHA256":
        return base64.b64encode(digest_of(content, "sha256")).decode()
    checksum: str | None = _compute_s3_checksum(algorithm, content)
    return checksum


def get_object_data(*arguments: Any, **options: Any) -> bytes | None:
    """Returns the content of an object for another service, in memory."""
    content = _get_object_data(*arguments, **options)
    return bytes(content) if isinstance(content, FileBody) else content


def complete_multipart_upload(bucket: str, key: str, body: bytes, query: Mapping[str, Any], *arguments: Any) -> Any:
    """Completes a multipart upload. MiniStack joins the parts in memory; the object is then moved to a file.

    MiniStack sorts the parts and accepts a part that is listed several times. S3 rejects both, and the joined object
    could have any size.
    """
    numbers = _part_numbers(body)
    if any(number >= following for number, following in pairwise(numbers)):
        return s3._error("InvalidPartOrder", PART_ORDER, 400, f"/{bucket}/{key}")
    parts = s3._multipart_uploads.get(s3._qp(query, "uploadId"), {}).get("parts", {})
    try:
        require_memory(sum(len(parts[number]["body"]) for number in numbers if number in parts))
    except MemoryFullError:
        return s3._error("EntityTooLarge", MEMORY_FULL, 413, f"/{bucket}/{key}")
    response = _complete_multipart_upload(bucket, key, body, query, *arguments)
    stored = (s3._ensure_bucket(bucket) or {"objects": {}})["objects"].get(key, {})
    content = stored.get("body")
    if response[0] != 200 or not isinstance(content, bytes):
        return response
    try:
        moved = in_file(content)
    except DiskFullError:
        log.warning("%s/%s stays in memory: the disk has too little free space", bucket, key)
        return response
    for record, name in (
        (stored, "body"),
        *((version, "data") for version in s3._object_versions.get((bucket, key), ())),
    ):
        if record.get(name) is content:
            record[name] = moved
    return response


def _part_numbers(body: bytes) -> list[int]:
    """Returns the numbers of the listed parts, or none if the list is not valid: MiniStack then responds."""
    try:
        texts = [element.text for element in fromstring(body).iter() if element.tag.rpartition("}")[2] == "PartNumber"]
        return [int(text) for text in texts if text is not None]
    except (ParseError, ValueError):
        return []
