"""Identifiers of interpreters, sessions and requests, in the service's formats."""

from __future__ import annotations

import secrets
import string
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

MANAGED_INTERPRETER = "aws.codeinterpreter.v1"
"""The id of AWS's managed interpreter."""
SUFFIX_CHARACTERS = string.ascii_letters + string.digits
SUFFIX_LENGTH = 10
CROCKFORD_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_interpreter_id(name: str) -> str:
    """Returns a new id of a custom interpreter: `NAME-` and ten letters or digits (CodeInterpreterId in the model)."""
    return f"{name}-{''.join(secrets.choice(SUFFIX_CHARACTERS) for _ in range(SUFFIX_LENGTH))}"


def interpreter_arn(identifier: str, *, account: str, region: str) -> str:
    """Returns an interpreter's ARN. The managed one has the account `aws` and another resource type."""
    if identifier == MANAGED_INTERPRETER:
        return f"arn:aws:bedrock-agentcore:{region}:aws:code-interpreter/{identifier}"
    return f"arn:aws:bedrock-agentcore:{region}:{account}:code-interpreter-custom/{identifier}"


def new_session_id(now: datetime) -> str:
    """Returns a new session id, a ULID: 48 bits of milliseconds and 80 random bits, in 26 characters."""
    number = (int(now.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(CROCKFORD_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


def new_request_id() -> str:
    """Returns a new request id."""
    return str(uuid.uuid4())
