"""The places where MiniStack is extended, behind one interface; the only module that touches its internals.

Written against MiniStack 1.5.33. After a bump, `tests/local` tells whether the places are still where they were.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import secrets
import signal
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

import ministack.app
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack.core import iam_evaluator, router, sigv4
from ministack.core.lambda_runtime import execution_credentials
from ministack.services import lambda_svc, sts
from ministack.services.cloudformation import provisioners

from local_aws.ministack.front import Front, Refusal, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.lambda_runtime.functions import Functions

ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]
_SESSION_KEY = secrets.token_bytes(32)


class ResourceType(Protocol):
    """A CloudFormation resource type that MiniStack does not have."""

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Makes the resource; returns its physical id and attributes. Raises ValueError, whose text the stack shows."""
        ...

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Ends the resource; one that is gone is no error."""
        ...


def add_resource_type(name: str, resource_type: ResourceType) -> None:
    """Makes CloudFormation accept `name`. Handlers run on the server's own thread: they must not call it over HTTP."""
    provisioners._RESOURCE_HANDLERS[name] = {"create": resource_type.create, "delete": resource_type.delete}


def use_lambda_runtime(functions: Functions) -> None:
    """Runs Python functions by `functions` instead of MiniStack's own worker, which loses an exception's class."""

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        answer = functions.invoke(config, function["code_zip"], event, request_id, lambda: _credentials(config))
        return {"body": answer.body, "log": answer.log, **({"error": True} if answer.failed else {})}

    lambda_svc._execute_function_warm = execute


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """A session of the function's role, as MiniStack makes it, save for the secret: its own can be told from names."""
    made = execution_credentials(config)
    key = made["AWS_ACCESS_KEY_ID"]
    secret, token = (
        hmac.new(_SESSION_KEY, f"{part} {key}".encode(), hashlib.sha256).hexdigest() for part in ("secret", "token")
    )
    sts.register_session(key, {**sts._sessions[key], "SecretAccessKey": secret, "SessionToken": token})
    return {**made, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def serve(port: int, at_end: Callable[[], None]) -> None:
    """Serves MiniStack on loopback until SIGTERM; then calls `at_end`, and waits for no thread that is busy."""

    def end(*_: object) -> None:
        at_end()
        os._exit(0)

    async def never() -> None:
        await asyncio.Event().wait()

    signal.signal(signal.SIGTERM, end)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    front = Front(ministack.app.app, port, refusal)
    asyncio.run(hypercorn_serve(front, config, shutdown_trigger=never))  # pyright: ignore[reportArgumentType] - ASGI


def refusal(request: Request) -> Refusal | None:
    """The answer to a request whose signature, in its header or its query, is not the one of its access key.

    MiniStack itself checks those of sessions and users, and none of the root's.
    """
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
