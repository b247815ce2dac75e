"""Judges the signature of each request with MiniStack's own code: MiniStack checks sessions and users, never the root.

Written against MiniStack 1.5.33, like `hooks`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
import secrets
from urllib.parse import parse_qs

import ministack.app
from ministack.core import iam_evaluator, router, sigv4

from local_aws.ministack.front import Refusal, Request

ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]


def refusal(request: Request) -> Refusal | None:
    """The answer to a request whose signature, in its header or its query, is not the one of its access key."""
    query = parse_qs(request.query, keep_blank_values=True)
    failure = _signature_failure(request, query)
    if failure is None:
        return None
    app = ministack.app
    routing = app._routing_params(request.method, request.raw_path, request.headers, request.body, query)
    service = router.detect_service(request.method, request.raw_path, request.headers, routing)
    error = iam_evaluator.AuthError(*failure)
    return Refusal(*app._credential_failure(service, "", secrets.token_hex(16), error, request.headers))


def _signature_failure(request: Request, query: dict[str, list[str]]) -> tuple[str, str] | None:
    """Code and message of what is wrong with a signature of version 4, or of a presigned URL of version 2; or None."""
    presigned = "authorization" not in request.headers
    if presigned and "X-Amz-Signature" not in query:
        return _presigned_by_version_2(request, query)
    signature = sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(request.headers)
    if isinstance(signature, tuple):
        return signature
    # The key that MiniStack will take for the caller's has to be the one that is checked here.
    is_hmac = signature.region_set is None
    if not is_hmac or signature.access_key_id != router.extract_access_key_id(request.headers, query):
        return "IncompleteSignature", "Only Signature Version 4 (AWS4-HMAC-SHA256) is served"
    if not (presigned and signature.service == "s3"):  # S3 itself judges until when its URLs are good
        skewed = sigv4.request_time_failure(signature)
        if skewed:
            return skewed
    token = query.get("X-Amz-Security-Token", [""])[0] if presigned else request.headers.get("x-amz-security-token")
    credential = iam_evaluator.resolve_credential(signature.access_key_id, ACCOUNT, token)
    if isinstance(credential, iam_evaluator.CredentialResolutionError):
        return credential.code, credential.message
    return sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        request.method,
        request.raw_path,
        query,
        request.headers,
        request.body,
        presigned=presigned,
    )


def _presigned_by_version_2(request: Request, query: dict[str, list[str]]) -> tuple[str, str] | None:
    """The same for the URLs that boto3 presigns for S3 in us-east-1 unless told otherwise."""
    key = query.get("AWSAccessKeyId", [""])[0]
    if not key or "Signature" not in query or key != router.extract_access_key_id(request.headers, query):
        return "MissingAuthenticationToken", "Request is missing Authentication Token"
    signed = iam_evaluator.SignedRequest(
        key, request.method, request.raw_path, query, request.headers, sigv2=True, auth_path=request.raw_path
    )
    checked = iam_evaluator._sigv2_check(signed, ACCOUNT)
    return (checked.code, checked.message) if isinstance(checked, iam_evaluator.AuthError) else None
