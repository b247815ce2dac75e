"""Which requests are S3's, told from the request alone: what an AWS emulator might take for another service's is not.

Emulators serve all services at one address. MiniStack goes by the scope of a signature in the header, `x-amz-target`,
`Action` in a query or a form, and the beginning of the path; LocalStack and moto by much the same.
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
OTHER_FIRST_SEGMENTS = frozenset((b"health", b"iceberg", b"latest", b"restapis", b"v20180820"))
"""What looks like a bucket and is not: health, Iceberg catalogues, instance metadata, API Gateway, S3 Control."""
FORM = b"application/x-www-form-urlencoded"
ONE_EACH = (b"host", b"authorization", b"content-type", b"content-length", b"transfer-encoding", b"x-amz-target")
SIGNED_QUERIES = (frozenset(("x-amz-credential", "x-amz-signature")), frozenset(("awsaccesskeyid", "signature")))
"""Presigned by version 4, and by version 2: S3's own, which boto3 takes in us-east-1 unless told otherwise."""


def refusal(request: h11.Request, hosts: frozenset[bytes]) -> str | None:
    """Returns why a request is not passed on to S3; None for one that is.

    Args:
        request: as it arrived.
        hosts: what the Host header may be.
    """
    headers: dict[bytes, bytes] = {}
    for name, value in request.headers:
        if name in headers and name in ONE_EACH:
            return f"The header {name.decode()} was sent twice"
        headers[name] = value
    if request.method not in METHODS:
        return f"S3 has no method {request.method.decode()}"
    if headers.get(b"host", b"") not in hosts:
        return f"The header Host has to be {' or '.join(sorted(host.decode() for host in hosts))}"
    if b"x-amz-target" in headers:
        return "The header x-amz-target was sent, which is not S3's"
    if b"content-length" in headers and b"transfer-encoding" in headers:
        return "Content-Length and Transfer-Encoding exclude each other"
    path, _, query = request.target.partition(b"?")
    return _path_refusal(path) or _signature_refusal(headers, query)


def _path_refusal(path: bytes) -> str | None:
    if not path.startswith(b"/"):
        return "The request's target has to be a path"
    bucket = unquote_to_bytes(path[1:]).split(b"/")[0]
    if path != b"/" and (not BUCKET.fullmatch(bucket) or bucket in OTHER_FIRST_SEGMENTS):
        return "The path has to begin with a bucket's name"
    return None


def _signature_refusal(headers: Mapping[bytes, bytes], query: bytes) -> str | None:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    names = [name.lower() for name, _ in pairs]
    if "action" in names:
        return "The query has an Action, which is not S3's"
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
        return "A presigned URL takes no form: send the data with another Content-Type"
    return None
