"""The execution role of one session, as the metadata service serves it: its credentials, or the error."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..authorizer import RoleNotAssumableError
from ..errors import InternalServerError

if TYPE_CHECKING:
    from ..authorizer import Authorizer, Credentials

FAILURE_CACHE_TIME = timedelta(seconds=1)
"""How long a failure is cached, so that code in a loop floods neither the authorizer nor the log."""
REFRESH_MARGIN = timedelta(minutes=20)
"""Earlier than botocore's refresh (15 minutes before expiry), but no earlier than half of the credentials' lifetime."""

log = logging.getLogger(__name__)


class SessionRole:
    """Fetches credentials on demand, caches and refreshes them, and revokes them at the end. Never logs them."""

    def __init__(self, authorizer: Authorizer, role_arn: str, interpreter_arn: str, session_id: str) -> None:
        self._authorizer = authorizer
        self._names = role_arn, interpreter_arn, session_id
        self._lock = asyncio.Lock()
        self._credentials: Credentials | None = None
        self._valid_until = datetime.min.replace(tzinfo=UTC)
        self._failure: RoleNotAssumableError | InternalServerError | None = None
        self._failed_until = self._valid_until
        self._requested = self._revoked = False

    async def document(self) -> dict[str, Any]:
        """Returns the metadata service's document for the role.

        For a role that cannot be assumed, the document is that of EC2, with an error code that the SDKs treat as no
        credentials. That AgentCore does the same is an assumption.

        Raises:
            InternalServerError: The authorizer does not respond, or the session has ended.
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

    async def revoke(self) -> None:
        """Revokes all credentials of the session: code may have printed or stored them."""
        async with self._lock:  # a pending request for credentials ends first
            if self._requested and not self._revoked:
                try:
                    await self._authorizer.revoke(self._names[2])
                except InternalServerError as error:
                    log.warning("The credentials of session %s are valid until they expire: %s", self._names[2], error)
            self._revoked = True

    async def _current(self, now: datetime) -> Credentials:
        async with self._lock:
            if self._revoked:
                raise InternalServerError("The session has ended")
            self._requested = True
            if self._failure is not None and now < self._failed_until:
                raise self._failure
            if self._credentials is None or now >= self._valid_until:
                try:
                    self._credentials = await self._authorizer.credentials(*self._names)
                except (RoleNotAssumableError, InternalServerError) as error:
                    role, interpreter, session = self._names
                    log.warning(
                        "Code in session %s of %s gets no credentials of %s: %s", session, interpreter, role, error
                    )
                    self._failure, self._failed_until = error, now + FAILURE_CACHE_TIME
                    raise
                lifetime = self._credentials.expiration - now
                self._valid_until = self._credentials.expiration - min(REFRESH_MARGIN, lifetime / 2)
            return self._credentials


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
