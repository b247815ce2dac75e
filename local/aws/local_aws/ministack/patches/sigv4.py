"""Verifies the signature of every request. MiniStack itself does not verify requests of the account root."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import ministack.app
from ministack.core import iam_evaluator, router, sigv4
from ministack.services import s3

from local_aws.ministack import s3_signatures
from local_aws.ministack.gateway import Request, Response
from local_aws.ministack.s3_signatures import S3SignatureError
from local_aws.settings import ACCOUNT

MINISTACK_VERSION = "1.5.33"


class SignatureError(Exception):
    """A signature is missing or wrong. `code` is the error code of AWS's Query services."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def reject_before_body(request: Request) -> Response | None:
    """Returns the error response to a request that is rejected whatever its body. `request` has no body yet.

    This verifies the complete signature if it does not depend on the body, as in S3: there, a header has the digest of
    the body or declares it unsigned.
    """
    try:
        verify(request, body_arrived=False)
    except (SignatureError, S3SignatureError) as error:
        return _error_response(request, error)
    return None


def reject(request: Request) -> Response | None:
    """Returns the error response to a request with a missing or wrong signature."""
    try:
        verify(request)
        _require_s3_routing(request)
    except (SignatureError, S3SignatureError) as error:
        return _error_response(request, error)
    return None


def verify(request: Request, service: str | None = None, *, body_arrived: bool = True) -> Any:
    """Verifies the signature of a request: version 4, or a presigned URL of version 2.

    Args:
        request: The request as it arrived.
        service: The service that the scope of the signature must name. Default: any.
        body_arrived: Whether `request` has its body. If not, a signature that depends on the body is not verified.

    Returns:
        MiniStack's credential of the signer.

    Raises:
        SignatureError: The signature is wrong, or the access key does not exist.
        S3SignatureError: S3 rejects the signed request for another reason.
    """
    query = _query(request)
    if service in (None, "s3") and s3_signatures.is_presigned_for_s3(request):
        s3_signatures.require_valid_url(request, datetime.now(UTC))
    presigned = "authorization" not in request.headers
    if presigned and "X-Amz-Signature" not in query:
        return _verify_presigned_v2(request, query)
    signature = sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(request.headers)
    if isinstance(signature, tuple):
        raise SignatureError(*signature)
    # The verified access key must be the one that MiniStack uses as the caller.
    is_hmac = signature.region_set is None
    if not is_hmac or signature.access_key_id != router.extract_access_key_id(request.headers, query):
        raise SignatureError("IncompleteSignature", "Only Signature Version 4 (AWS4-HMAC-SHA256) is supported")
    if service not in (None, signature.service):
        raise SignatureError("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.")
    for_s3 = signature.service == "s3"
    if not (presigned and for_s3):
        skew_error = sigv4.request_time_failure(signature)
        if skew_error:
            raise SignatureError(*skew_error)
    token = query.get("X-Amz-Security-Token", [""])[0] if presigned else request.headers.get("x-amz-security-token")
    credential = iam_evaluator.resolve_credential(signature.access_key_id, ACCOUNT, token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        raise SignatureError(credential.code, credential.message)
    if not (body_arrived or (presigned and for_s3) or _has_body_digest(request)):
        return credential
    if for_s3:
        s3_signatures.require_signed_headers_present(request.headers, signature.signed_headers)
    failure = sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        request.method,
        request.raw_path,
        query,
        request.headers,
        # Requests with a body in a file have its digest in a header.
        request.body if isinstance(request.body, bytes) else b"",
        presigned=presigned,
    )
    if failure:
        raise SignatureError(*failure)
    if for_s3:
        s3_signatures.require_amz_headers_signed(request.headers, signature.signed_headers)
    if for_s3 and not presigned and body_arrived:
        s3_signatures.require_signed_content(request)
    return credential


def _verify_presigned_v2(request: Request, query: dict[str, list[str]]) -> Any:
    """Verifies a URL presigned with version 2, the default of boto3 for S3 in us-east-1."""
    key_id = query.get("AWSAccessKeyId", [""])[0]
    if not key_id or "Signature" not in query or key_id != router.extract_access_key_id(request.headers, query):
        raise SignatureError("MissingAuthenticationToken", "Request is missing Authentication Token")
    signed_request = iam_evaluator.SignedRequest(
        key_id, request.method, request.raw_path, query, request.headers, sigv2=True, auth_path=request.raw_path
    )
    credential = iam_evaluator._sigv2_check(signed_request, ACCOUNT)
    if isinstance(credential, iam_evaluator.AuthError):
        raise SignatureError(credential.code, credential.message)
    return credential


def _has_body_digest(request: Request) -> bool:
    """Returns whether the signature covers a digest of the body in a header, and not the body or its chunks."""
    digest = request.headers.get("x-amz-content-sha256", "")
    return bool(digest) and not digest.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")


def is_object_upload(request: Request) -> bool:
    """Returns whether a request sends the content of an object or of a part to S3, unencoded. It may have no body yet.

    The content of an encoded body follows from all of it.
    """
    encodings = request.headers.get("x-amz-content-sha256", "") + request.headers.get("content-encoding", "")
    is_encoded = "STREAMING-" in encodings or "aws-chunked" in encodings
    is_encoded = is_encoded or "x-amz-decoded-content-length" in request.headers
    return request.method == "PUT" and not is_encoded and _routed_service(request) == "s3"


def _require_s3_routing(request: Request) -> None:
    """Rejects a URL presigned for S3 whose path MiniStack would route to another service."""
    query = _query(request)
    scope = query.get("X-Amz-Credential", ["////"])[0].split("/")
    for_s3 = "Signature" in query or scope[3:4] == ["s3"]
    if "authorization" not in request.headers and for_s3 and (service := _routed_service(request)) != "s3":
        raise SignatureError("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.")


def _routed_service(request: Request) -> str:
    """Returns the service to which MiniStack routes a request."""
    path, query = unquote(request.raw_path), _query(request)
    # A form in a file is no request to a Query service: it exceeds the limit of these services.
    form = request.body if isinstance(request.body, bytes) else b""
    routing = ministack.app._routing_params(request.method, path, request.headers, form, query)
    return router.detect_service(request.method, path, request.headers, routing)


def _error_response(request: Request, error: SignatureError | S3SignatureError) -> Response:
    if isinstance(error, S3SignatureError):
        return Response(*s3._error(error.code, error.message, error.status, request.raw_path, error.details))
    failure = iam_evaluator.AuthError(error.code, error.message)
    service, request_id = _routed_service(request), secrets.token_hex(16)
    return Response(*ministack.app._credential_failure(service, "", request_id, failure, request.headers))


def _query(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.query, keep_blank_values=True)
