"""S3's rules for signed requests that go beyond the signature itself: validity of URLs, signed headers, condition keys.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from local_aws.ministack.request_body import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.ministack.gateway import Request

    Query = Mapping[str, Sequence[str]]

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_VALID_SECONDS = 604_800
CLOCK_SKEW = timedelta(minutes=15)
SHA256 = re.compile(r"[0-9a-f]{64}")
DATE_FORMAT = "%Y%m%dT%H%M%SZ"
ONE_MECHANISM = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or "
    "the Authorization header should be specified"
)
PARAMETERS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders")
"""The parameters of a presigned URL, in addition to X-Amz-Expires."""
MISSING_PARAMETER = (
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date,"
    " X-Amz-SignedHeaders, and X-Amz-Expires parameters."
)


class S3SignatureError(Exception):
    """S3 rejects a signed request.

    Attributes:
        status: HTTP status.
        code: error code of S3.
        message: message of S3.
        details: further elements of the error document.
    """

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


def is_presigned_for_s3(request: Request) -> bool:
    """Returns whether a request has a URL that is presigned for S3 with Signature Version 4."""
    query = _query(request)
    return "X-Amz-Signature" in query and _first(query, "X-Amz-Credential").split("/")[3:4] == ["s3"]


def require_valid_url(request: Request, now: datetime) -> None:
    """Checks the parameters of a presigned URL and that it has not expired.

    Raises:
        S3SignatureError: The URL is not valid at `now`.
    """
    query = _query(request)
    if "authorization" in request.headers:
        raise S3SignatureError(400, "InvalidArgument", ONE_MECHANISM)
    if any(not _first(query, name) for name in (*PARAMETERS, "X-Amz-Expires")):
        raise _invalid_parameter(MISSING_PARAMETER)
    if _first(query, "X-Amz-Algorithm") != ALGORITHM:
        raise _invalid_parameter(f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    signed_at = _signed_at(query)
    if signed_at is None:
        raise _invalid_parameter("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    expiry = signed_at + timedelta(seconds=_valid_seconds(_first(query, "X-Amz-Expires")))
    if signed_at > now + CLOCK_SKEW:
        raise S3SignatureError(403, "AccessDenied", "Request is not yet valid")
    if now > expiry:
        times = {"Expires": f"{expiry:%Y-%m-%dT%H:%M:%SZ}", "ServerTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
        raise S3SignatureError(403, "AccessDenied", "Request has expired", **times)


def _valid_seconds(text: str) -> int:
    """Parses X-Amz-Expires."""
    if text.startswith("-") and text[1:].isdecimal():
        raise _invalid_parameter("X-Amz-Expires must be non-negative")
    if not (text.isascii() and text.isdecimal()):
        raise _invalid_parameter("X-Amz-Expires should be a number")
    if len(text) > len(str(MAX_VALID_SECONDS)) or int(text) > MAX_VALID_SECONDS:
        raise _invalid_parameter(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            f"{MAX_VALID_SECONDS} seconds"
        )
    return int(text)


def require_signed_headers_present(headers: Mapping[str, str], signed_headers: str) -> None:
    """Checks that a request has every header that its signature covers.

    The signature alone does not: it treats a header that is absent like one that is empty.

    Raises:
        S3SignatureError: A header is absent.
    """
    if any(name not in headers for name in signed_headers.split(";")):
        message = "The request signature we calculated does not match the signature you provided."
        raise S3SignatureError(403, "SignatureDoesNotMatch", f"{message} Check your key and signing method.")


def require_amz_headers_signed(headers: Mapping[str, str], signed_headers: str) -> None:
    """Checks that the signature covers the host and every header `x-amz-*`.

    Raises:
        S3SignatureError: The signature does not cover one of them.
    """
    signed = set(signed_headers.split(";"))
    unsigned = sorted(name for name in headers if (name == "host" or name.startswith("x-amz-")) and name not in signed)
    if unsigned:
        message = "There were headers present in the request which were not signed"
        raise S3SignatureError(403, "AccessDenied", message, HeadersNotSigned=", ".join(unsigned))


def require_signed_content(request: Request) -> None:
    """Checks the body against its signed digest, if the request has one.

    Raises:
        S3SignatureError: The body is another one.
    """
    signed = request.headers.get("x-amz-content-sha256", "")
    if not SHA256.fullmatch(signed):
        return
    computed = digest_of(request.body, "sha256").hex()
    if computed != signed:
        raise S3SignatureError(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
            ClientComputedContentSHA256=signed,
            S3ComputedContentSHA256=computed,
        )


def condition_keys(request: Request, now: datetime) -> dict[str, str]:
    """Returns the condition keys of a request's signature, in lower case.

    Only URLs presigned with version 4 have `s3:signatureAge`, in milliseconds.
    """
    query = _query(request)
    if request.headers.get("authorization", "").startswith(ALGORITHM):
        return {"s3:authtype": "REST-HEADER", "s3:signatureversion": ALGORITHM}
    keys = {"s3:authtype": "REST-QUERY-STRING"}
    if "X-Amz-Signature" in query:
        age = now - (_signed_at(query) or now)
        milliseconds = max(0, age // timedelta(milliseconds=1))
        return {**keys, "s3:signatureversion": ALGORITHM, "s3:signatureage": str(milliseconds)}
    return {**keys, "s3:signatureversion": "AWS"} if "Signature" in query else {}


def _signed_at(query: Query) -> datetime | None:
    try:
        return datetime.strptime(_first(query, "X-Amz-Date"), DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _invalid_parameter(message: str) -> S3SignatureError:
    return S3SignatureError(400, "AuthorizationQueryParametersError", message)


def _query(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.query, keep_blank_values=True)


def _first(query: Query, name: str) -> str:
    return query.get(name, [""])[0]
