"""IAM and telemetry for local-agentcore, which runs outside MiniStack.

Serves `POST /_local/authorize`, `/_local/assumable`, `/_local/credentials`, `/_local/revoke` and `/_local/telemetry` on
the AWS endpoint.
They require a bearer token that only local-agentcore has.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from local_aws.ministack.code_interpreter import SERVICE_PRINCIPAL
from local_aws.ministack.gateway import Request, Response
from local_aws.ministack.patches import agentcore_telemetry, iam_roles, sts
from local_aws.ministack.patches.iam_requests import SOURCE_SUBNET
from local_aws.ministack.patches.sigv4 import SignatureError, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/_local/"
TOKEN_VARIABLE = "LOCAL_AGENTCORE_AUTHORITY_TOKEN"  # noqa: S105 - a variable name
SERVICE = "bedrock-agentcore"
SESSION_SECONDS = 3600
MULTIVALUED_KEYS = {"aws:tagkeys", f"{SERVICE}:subnets", f"{SERVICE}:securitygroups"}
"""Condition keys whose value is a list, in lower case."""
JSON_ERROR_CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidToken": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "CredentialDateMismatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "MissingAuthorizationParameter": "IncompleteSignatureException",
}
"""Error codes of services with a JSON protocol, by the code of Query services ("Common Errors" of AWS's services)."""


class Authorizer:
    """Handles the requests of local-agentcore."""

    def __init__(self, token: str) -> None:
        self._bearer = f"Bearer {token}".encode()
        self._routes = {
            f"{PATH}{handler.__name__}": handler for handler in (authorize, assumable, credentials, revoke, telemetry)
        }

    def handles(self, request: Request) -> bool:
        """Returns whether a request is for these routes."""
        return request.raw_path.startswith(PATH)

    def reject(self, request: Request) -> Response | None:
        """Returns the error response to a request without the token."""
        if hmac.compare_digest(request.headers.get("authorization", "").encode(), self._bearer):
            return None
        return _json(403, {"message": f"The token in {TOKEN_VARIABLE} is required"})

    def with_verified_source(self, request: Request) -> Request:
        """Returns the request with the subnet of the sandbox that sent it, without a signature.

        A subnet that local-agentcore did not sign is removed: any other program could name a subnet.
        """
        value = request.headers.get(SOURCE_SUBNET)
        if value is None:
            return request
        subnet, _, signature = value.partition(" ")
        expected = hmac.new(self._bearer, subnet.encode(), hashlib.sha256).hexdigest()
        is_verified = hmac.compare_digest(signature.encode(), expected.encode())
        others = {name: each for name, each in request.headers.items() if name != SOURCE_SUBNET}
        return replace(request, headers={**others, **({SOURCE_SUBNET: subnet} if is_verified else {})})

    def respond(self, request: Request) -> Response:
        """Returns the response to a request."""
        if (rejection := self.reject(request)) is not None:
            return rejection
        handler = self._routes.get(request.raw_path)
        if handler is None or request.method != "POST":
            return _json(404, {"message": f"Unknown route; allowed: POST {' | '.join(self._routes)}"})
        return _json(200, handler(json.loads(bytes(request.body))))


def authorize(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Decides whether the signer of a request to AgentCore may perform `action` on `resource`."""
    headers: dict[str, str] = parameters["headers"]
    body_digest = parameters["payload_sha256"]
    signed_request = Request(
        parameters["method"],
        parameters["path"],
        parameters["query"],
        # `verify` reads the digest of the body from this header. It is not among the signed headers.
        {**headers, "x-amz-content-sha256": body_digest},
        b"",
    )
    try:
        if headers.get("x-amz-content-sha256", body_digest) != body_digest:
            raise SignatureError("SignatureDoesNotMatch", "The body differs from the signed one")
        principal = iam_roles.principal_of(verify(signed_request, service=SERVICE))
        keys = _condition_keys(parameters["context"])
        iam_roles.require_identity_permission(principal, parameters["action"], parameters["resource"], keys)
    except (SignatureError, iam_roles.UnknownPrincipalError) as error:
        return {"allowed": False, "code": JSON_ERROR_CODES.get(error.code, error.code), "message": str(error)}
    except iam_roles.AccessDeniedError as error:
        return {"allowed": False, "code": "AccessDeniedException", "message": str(error)}
    return {"allowed": True, "principal": principal.arn}


def assumable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Checks that a role exists and that its trust policy lets AgentCore assume it for an interpreter."""
    try:
        iam_roles.assume_role(SERVICE_PRINCIPAL, parameters["role"], parameters["interpreter"])
    except iam_roles.AccessDeniedError as error:
        return {"refused": str(error)}
    return {}


def credentials(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns credentials of an execution role, if its trust policy lets AgentCore assume it for the interpreter."""
    try:
        role = iam_roles.assume_role(SERVICE_PRINCIPAL, parameters["role"], parameters["interpreter"])
    except iam_roles.AccessDeniedError as error:
        return {"refused": str(error)}
    session = sts.create_session(role, parameters["session"], SESSION_SECONDS)
    return {**session, "expiration": datetime.fromtimestamp(session["expiration"], UTC).isoformat()}


def revoke(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Revokes the credentials of a session of AgentCore, and those that were obtained with them."""
    return {"revoked": sts.revoke_sessions(parameters["session"])}


def telemetry(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Records the metrics and delivers the logs of AgentCore. Telemetry has the time of the emulator's clock."""
    agentcore_telemetry.record(parameters)
    return {}


def _condition_keys(values: Mapping[str, list[str]]) -> dict[str, str | list[str]]:
    """Returns condition keys with a string for each key with one value, and a list for each multivalued key."""
    keys = {name.lower(): items for name, items in values.items()}
    return {name: items if name in MULTIVALUED_KEYS else items[0] for name, items in keys.items()}


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(body).encode())
