"""Rejects requests that an AWS emulator could route to another service than S3.

Emulators serve all services at one address. MiniStack selects the service by the scope of the signature header,
`x-amz-target`, `Action` in a query or a form, and the start of the path; LocalStack and moto use similar rules.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import h11

METHODS = (b"GET", b"HEAD", b"PUT", b"POST", b"DELETE")
SIGNED_FOR_S3 = re.compile(
    rb"AWS4-HMAC-SHA256\s+Credential=[^/,\s=]+/\d{8}/[^/,\s]*/s3/aws4_request\s*,((?!Credential=).)*", re.IGNORECASE
)
SCOPE_FOR_S3 = re.compile(r"[^/,\s=]+/\d{8}/[^/,\s]*/s3/aws4_request")
BUCKET = re.compile(rb"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
RESERVED_FIRST_SEGMENTS = frozenset((b"health", b"iceberg", b"latest", b"restapis", b"v20180820"))
"""Paths of other services: health, Iceberg catalogues, instance metadata, API Gateway, S3 Control."""
FORM = b"application/x-www-form-urlencoded"
UNIQUE_HEADERS = (b"host", b"authorization", b"content-type", b"content-length", b"transfer-encoding", b"x-amz-target")
SIGNED_QUERIES = (frozenset(("x-amz-credential", "x-amz-signature")), frozenset(("awsaccesskeyid", "signature")))
"""Parameters of URLs presigned with version 4, and with S3's version 2, boto3's default in us-east-1."""


def rejection(request: h11.Request, hosts: frozenset[bytes]) -> str | None:
    """Returns why a request is not forwarded to S3, or None if it is.

    Args:
        request: The received request.
        hosts: The allowed values of the Host header.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name in headers and name in UNIQUE_HEADERS:
            return f"The header {name.decode()} is present twice"
        headers[name] = value
    if request.method not in METHODS:
        return f"The method {request.method.decode()} is not a method of S3"
    if headers.get(b"host", b"") not in hosts:
        return f"The header Host has to be {' or '.join(sorted(host.decode() for host in hosts))}"
    if b"x-amz-target" in headers:
        return "The header x-amz-target is present, which S3 does not use"
    if b"content-length" in headers and b"transfer-encoding" in headers:
        return "The headers Content-Length and Transfer-Encoding are both present"
    path, _, query = request.target.partition(b"?")
    return _path_rejection(path) or _signature_rejection(headers, query)


def _path_rejection(path: bytes) -> str | None:
    if not path.startswith(b"/"):
        return "The request target is not a path"
    bucket = unquote_to_bytes(path[1:]).split(b"/")[0]
    if path != b"/" and (not BUCKET.fullmatch(bucket) or bucket in RESERVED_FIRST_SEGMENTS):
        return "The path does not start with a bucket name"
    return None


def _signature_rejection(headers: Mapping[bytes, bytes], query: bytes) -> str | None:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    names = [name.lower() for name, _ in pairs]
    if "action" in names:
        return "The query parameter Action is present, which S3 does not use"
    presigned = [fields for fields in SIGNED_QUERIES if fields.intersection(names)]
    if b"authorization" in headers:
        if presigned:
            return "The request is signed twice: in its header and in its query"
        signed = SIGNED_FOR_S3.fullmatch(headers[b"authorization"])
        return None if signed else "The request is not signed for the service s3 (Signature Version 4)"
    if len(presigned) != 1 or any(names.count(name) != 1 for name in presigned[0]):
        return "The request is not signed"
    scopes = [value for name, value in pairs if name.lower() == "x-amz-credential"]
    if not all(SCOPE_FOR_S3.fullmatch(scope) for scope in scopes):
        return "The URL is not presigned for the service s3"
    if headers.get(b"content-type", b"").strip().lower().startswith(FORM):
        return "A presigned URL does not accept a form: send the data with another Content-Type"
    return None
