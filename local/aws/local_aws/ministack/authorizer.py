"""IAM for the emulator of AgentCore, which stands outside of MiniStack: who signed, what may they do, who is a role.

Routes on MiniStack's own front, behind a bearer token that only the emulator has besides: `POST /_local/authorize`,
`POST /_local/assumable` and `POST /_local/credentials`. Written against MiniStack 1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import hmac
import json
import os
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import sts

from local_aws.ministack import policies, roles
from local_aws.ministack.code_interpreter import SERVICE_PRINCIPAL
from local_aws.ministack.gateway import Answer, Request
from local_aws.ministack.signatures import ACCOUNT, SignatureError, signer
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import access_denied_message, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH = "/_local/"
TOKEN_VARIABLE = "LOCAL_AGENTCORE_AUTHORITY_TOKEN"  # noqa: S105 - the variable's name
SERVICE = "bedrock-agentcore"
SESSION_SECONDS = 3600
SOURCE_IP = "127.0.0.1"
REGION = os.environ["MINISTACK_REGION"]

MULTIVALUED = {"aws:tagkeys", f"{SERVICE}:subnets", f"{SERVICE}:securitygroups"}

CODES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "InvalidToken": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "CredentialDateMismatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "MissingAuthorizationParameter": "IncompleteSignatureException",
}
"""Names that services with a JSON protocol have for what Query services call otherwise (AWS, common errors)."""


class Authorizer:
    """Answers the emulator's questions."""

    def __init__(self, token: str) -> None:
        self._bearer = f"Bearer {token}".encode()
        self._questions = {f"{PATH}{question.__name__}": question for question in (authorize, assumable, credentials)}

    def is_asked(self, request: Request) -> bool:
        """Whether a request is meant for it."""
        return request.raw_path.startswith(PATH)

    def refusal(self, request: Request) -> Answer | None:
        """The answer to who has not the token; None for the emulator."""
        if hmac.compare_digest(request.headers.get("authorization", "").encode(), self._bearer):
            return None
        return _json(403, {"message": "The authority's token is required"})

    def answer(self, request: Request) -> Answer:
        """The answer to a question."""
        if (refused := self.refusal(request)) is not None:
            return refused
        question = self._questions.get(request.raw_path)
        if question is None or request.method != "POST":
            return _json(404, {"message": f"Questions are {' | '.join(self._questions)}, by POST"})
        return _json(200, question(json.loads(request.body)))


def authorize(question: Mapping[str, Any]) -> dict[str, Any]:
    """Whether who signed a request to AgentCore may do `action` on `resource`."""
    headers: dict[str, str] = question["headers"]
    payload = question["payload_sha256"]
    signed = Request(
        question["method"],
        question["path"],
        question["query"],
        # Beside the signed headers this adds nothing: it is where the signature's check finds the body's digest.
        {**headers, "x-amz-content-sha256": payload},
        b"",
    )
    try:
        if headers.get("x-amz-content-sha256", payload) != payload:
            raise SignatureError("SignatureDoesNotMatch", "The body is not the one that was signed")
        caller = signer(signed, service=SERVICE)
    except SignatureError as error:
        return {"allowed": False, "code": CODES.get(error.code, error.code), "message": error.message}
    principal = iam_evaluator.resolve_principal(caller.access_key_id, ACCOUNT, caller)
    if isinstance(principal, iam_evaluator.AuthError):
        return {"allowed": False, "code": CODES.get(principal.code, principal.code), "message": principal.message}
    if principal.policies is None:  # the account's root
        return {"allowed": True, "principal": principal.arn}
    asked = policies.request(_context(principal, question["action"], question["resource"], question["context"]))
    try:
        decision = evaluate(asked, policies.gather(principal.policies, principal.limits))
    except PolicyError as error:
        return {"allowed": False, "code": "AccessDeniedException", "message": str(error)}
    if decision.allowed:
        return {"allowed": True, "principal": principal.arn}
    return {"allowed": False, "code": "AccessDeniedException", "message": access_denied_message(asked, decision)}


def assumable(question: Mapping[str, Any]) -> dict[str, Any]:
    """Whether a role exists and lets AgentCore assume it for an interpreter."""
    try:
        roles.assume(SERVICE_PRINCIPAL, question["role"], question["interpreter"])
    except roles.RoleError as error:
        return {"refused": str(error)}
    return {}


def credentials(question: Mapping[str, Any]) -> dict[str, Any]:
    """A new session of an execution role, if its trust policy lets AgentCore assume it for this interpreter."""
    try:
        role = roles.assume(SERVICE_PRINCIPAL, question["role"], question["interpreter"])
    except roles.RoleError as error:
        return {"refused": str(error)}
    key, expires = f"ASIA{secrets.token_hex(8).upper()}", time.time() + SESSION_SECONDS
    made = {"secret_access_key": secrets.token_urlsafe(30), "session_token": secrets.token_urlsafe(96)}
    sts.register_session(
        key,
        {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{question['session']}",
            "UserId": f"{role['RoleId']}:{question['session']}",
            "AccountId": ACCOUNT,
            "PrincipalType": "AssumedRole",
            "SecretAccessKey": made["secret_access_key"],
            "SessionToken": made["session_token"],
            "Expiration": expires,
        },
    )
    return {"access_key_id": key, **made, "expiration": datetime.fromtimestamp(expires, UTC).isoformat()}


def _context(principal: Any, action: str, resource: str, keys: Mapping[str, list[str]]) -> Any:
    """What MiniStack's evaluator takes: a text for a key with one value, a list for one with several."""
    named = {key.lower(): values for key, values in keys.items()}
    return iam_evaluator.EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=principal.account,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={
            "aws:tagkeys": None,
            **{key: values if key in MULTIVALUED else values[0] for key, values in named.items()},
        },
        principal_keys=principal.keys,
        secure_transport=True,
        source_ip=SOURCE_IP,
    )


def _json(status: int, body: Mapping[str, Any]) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(body).encode())
