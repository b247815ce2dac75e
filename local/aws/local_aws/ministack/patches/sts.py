"""Temporary credentials of roles that services assume."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING, Any

from ministack.services import sts

from local_aws.settings import ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
_SECRET_KEY = secrets.token_bytes(32)


def create_session(role: Mapping[str, Any], session_name: str, duration_seconds: int) -> dict[str, Any]:
    """Returns new credentials of a role, and registers them with MiniStack.

    Returns:
        `access_key_id`, `secret_access_key`, `session_token` and `expiration` (seconds since the epoch).
    """
    access_key_id, expiration = f"ASIA{secrets.token_hex(8).upper()}", time.time() + duration_seconds
    secret_access_key, session_token = secrets.token_urlsafe(30), secrets.token_urlsafe(96)
    sts.register_session(
        access_key_id,
        {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{session_name}",
            "UserId": f"{role['RoleId']}:{session_name}",
            "AccountId": ACCOUNT,
            "PrincipalType": "AssumedRole",
            "SecretAccessKey": secret_access_key,
            "SessionToken": session_token,
            "Expiration": expiration,
        },
    )
    return {
        "access_key_id": access_key_id,
        "secret_access_key": secret_access_key,
        "session_token": session_token,
        "expiration": expiration,
    }


def revoke_sessions(session_name: str) -> int:
    """Expires the credentials of a session name, and those of roles that were assumed with them.

    Returns:
        The number of their access keys, including expired ones.
    """
    sessions: dict[str, Any] = {**sts._sessions}  # other threads add sessions meanwhile
    revoked: set[str] = {
        key
        for key, session in sessions.items()
        if session.get("PrincipalType") == "AssumedRole" and session["Arn"].endswith(f"/{session_name}")
    }
    while chained := {
        key for key, session in sessions.items() if key not in revoked and session.get("SourceAccessKeyId") in revoked
    }:
        revoked |= chained
    for key in revoked & sts._sessions.keys():
        sts._sessions[key] = {**sessions[key], "Expiration": time.time()}
    return len(revoked)


def replace_secret(access_key_id: str) -> tuple[str, str]:
    """Replaces the secret and the token of a session: MiniStack derives those of functions from public names.

    Returns:
        The new secret access key and session token. They are the same for every call with the same access key.
    """
    secret_access_key, session_token = (
        hmac.new(_SECRET_KEY, f"{part} {access_key_id}".encode(), hashlib.sha256).hexdigest()
        for part in ("secret", "token")
    )
    session = {**sts._sessions[access_key_id], "SecretAccessKey": secret_access_key, "SessionToken": session_token}
    sts.register_session(access_key_id, session)
    return secret_access_key, session_token
