"""The execution role of one session, as the metadata service shows it: its credentials, or why it has none."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..authorizer import RoleNotAssumableError
from ..errors import InternalServerError

if TYPE_CHECKING:
    from ..authorizer import Authorizer, Credentials

REFUSED_FOR = timedelta(seconds=1)
"""How long a failure is cached, so that code in a loop floods neither the authorizer nor the log."""
REFRESHED_BEFORE_EXPIRY = timedelta(minutes=20)
"""Earlier than botocore asks for new ones (15 minutes), so that asking helps; at the latest at half of their life."""

log = logging.getLogger(__name__)


class SessionRole:
    """Credentials are asked for when code asks, kept, and asked for anew before they expire. They are never logged."""

    def __init__(self, authorizer: Authorizer, role_arn: str, interpreter_arn: str, session_id: str) -> None:
        self._authorizer = authorizer
        self._names = role_arn, interpreter_arn, session_id
        self._turn = asyncio.Lock()
        self._credentials: Credentials | None = None
        self._good_until = datetime.min.replace(tzinfo=UTC)
        self._refusal: RoleNotAssumableError | InternalServerError | None = None
        self._refused_until = self._good_until

    async def document(self) -> dict[str, Any]:
        """Returns what the metadata service answers for the role.

        Of a role that cannot be assumed it is a guess that it shows as on EC2: a document with another code, which the
        SDKs take for no credentials.

        Raises:
            InternalServerError: nobody can tell.
        """
        now = datetime.now(UTC)
        try:
            credentials = await self._current(now)
        except RoleNotAssumableError:
            role = self._names[0]
            message = f"Bedrock AgentCore cannot assume the role {role}. Check its trust policy and that it exists."
            return {"Code": "AssumeRoleUnauthorizedAccess", "Message": message, "LastUpdated": _iso(now)}
        return {
            "Code": "Success",
            "LastUpdated": _iso(now),
            "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.session_token,
            "Expiration": _iso(credentials.expiration),
        }

    async def _current(self, now: datetime) -> Credentials:
        async with self._turn:
            if self._refusal is not None and now < self._refused_until:
                raise self._refusal
            if self._credentials is None or now >= self._good_until:
                try:
                    self._credentials = await self._authorizer.credentials(*self._names)
                except (RoleNotAssumableError, InternalServerError) as error:
                    role, interpreter, session = self._names
                    log.warning(
                        "Code in session %s of %s has no credentials of %s: %s", session, interpreter, role, error
                    )
                    self._refusal, self._refused_until = error, now + REFUSED_FOR
                    raise
                life = self._credentials.expiration - now
                self._good_until = self._credentials.expiration - min(REFRESHED_BEFORE_EXPIRY, life / 2)
            return self._credentials


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
