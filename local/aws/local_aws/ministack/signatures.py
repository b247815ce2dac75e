"""Judges the signature of each request with MiniStack's own code: MiniStack checks sessions and users, never the root.

Written against MiniStack 1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
import secrets
from typing import Any
from urllib.parse import parse_qs, unquote

import ministack.app
from ministack.core import iam_evaluator, router, sigv4

from local_aws.ministack.gateway import Answer, Request

ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]


class SignatureError(Exception):
    """What is wrong with a signature: the code of AWS's Query services, and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def early_refusal(request: Request) -> Answer | None:
    """The answer to a request that is refused whatever its body, which `request` has not.

    That is the whole judgement where the signature does not depend on the body: S3's names a digest, or none.
    """
    try:
        signer(request, body_arrived=False)
    except SignatureError as error:
        return _failure(request, error)
    return None


def refusal(request: Request) -> Answer | None:
    """The answer to a request whose signature, in its header or its query, is not the one of its access key."""
    try:
        signer(request)
        _require_own_service(request)
    except SignatureError as error:
        return _failure(request, error)
    return None


def _failure(request: Request, error: SignatureError) -> Answer:
    failure = iam_evaluator.AuthError(error.code, error.message)
    answer = ministack.app._credential_failure(_service(request), "", secrets.token_hex(16), failure, request.headers)
    return Answer(*answer)


def _service(request: Request) -> str:
    """Whose request MiniStack takes it for."""
    path, query = unquote(request.raw_path), _query(request)
    routing = ministack.app._routing_params(request.method, path, request.headers, request.body, query)
    return router.detect_service(request.method, path, request.headers, routing)


def _require_own_service(request: Request) -> None:
    """Refuses a URL presigned for S3 that MiniStack, which goes by paths there, would take to another service."""
    query = _query(request)
    scope = query.get("X-Amz-Credential", ["////"])[0].split("/")
    for_s3 = "Signature" in query or scope[3:4] == ["s3"]
    if "authorization" not in request.headers and for_s3 and (service := _service(request)) != "s3":
        raise SignatureError("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.")


def signer(request: Request, service: str | None = None, *, body_arrived: bool = True) -> Any:
    """MiniStack's credential of who signed a request: by version 4, or by a URL presigned with version 2.

    Args:
        request: as it arrived.
        service: what the signature's scope has to name; None: anything.
        body_arrived: whether `request` has its body. If not, a signature that depends on it is not checked.

    Raises:
        SignatureError: the signature is not the one of its access key, or nobody has that key.
    """
    query = _query(request)
    presigned = "authorization" not in request.headers
    if presigned and "X-Amz-Signature" not in query:
        return _presigned_by_version_2(request, query)
    signature = sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(request.headers)
    if isinstance(signature, tuple):
        raise SignatureError(*signature)
    # The key that MiniStack will take for the caller's has to be the one that is checked here.
    is_hmac = signature.region_set is None
    if not is_hmac or signature.access_key_id != router.extract_access_key_id(request.headers, query):
        raise SignatureError("IncompleteSignature", "Only Signature Version 4 (AWS4-HMAC-SHA256) is served")
    if service not in (None, signature.service):
        raise SignatureError("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{service}'.")
    if not (presigned and signature.service == "s3"):  # S3 itself judges until when its URLs are good
        skewed = sigv4.request_time_failure(signature)
        if skewed:
            raise SignatureError(*skewed)
    token = query.get("X-Amz-Security-Token", [""])[0] if presigned else request.headers.get("x-amz-security-token")
    credential = iam_evaluator.resolve_credential(signature.access_key_id, ACCOUNT, token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        raise SignatureError(credential.code, credential.message)
    if not (body_arrived or (presigned and signature.service == "s3") or _names_a_digest(request)):
        return credential
    failure = sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        request.method,
        request.raw_path,
        query,
        request.headers,
        request.body,
        presigned=presigned,
    )
    if failure:
        raise SignatureError(*failure)
    return credential


def _names_a_digest(request: Request) -> bool:
    """Whether the signature is over what a header says of the body, and not over its chunks or over the body."""
    digest = request.headers.get("x-amz-content-sha256", "")
    return bool(digest) and not digest.startswith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")


def _query(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.query, keep_blank_values=True)


def _presigned_by_version_2(request: Request, query: dict[str, list[str]]) -> Any:
    """The same for the URLs that boto3 presigns for S3 in us-east-1 unless told otherwise."""
    key = query.get("AWSAccessKeyId", [""])[0]
    if not key or "Signature" not in query or key != router.extract_access_key_id(request.headers, query):
        raise SignatureError("MissingAuthenticationToken", "Request is missing Authentication Token")
    signed = iam_evaluator.SignedRequest(
        key, request.method, request.raw_path, query, request.headers, sigv2=True, auth_path=request.raw_path
    )
    checked = iam_evaluator._sigv2_check(signed, ACCOUNT)
    if isinstance(checked, iam_evaluator.AuthError):
        raise SignatureError(checked.code, checked.message)
    return checked
