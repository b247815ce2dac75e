"""Client of the authorizer: the AWS emulator that evaluates IAM policies and assumes execution roles.

Requests go over HTTP on loopback, as JSON with a bearer token that both processes get at start. The authorizer's own
calls to the emulator have the same token and are not authorized again: its only thread is waiting for their response.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import urllib3
from urllib3.exceptions import HTTPError

from .errors import AccessDeniedError, InternalServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .protocol import HttpRequest

CONNECTIONS = 8
TIMEOUT_SECONDS = 30.0
HTTP_OK = 200


class RoleNotAssumableError(Exception):
    """The service cannot assume a role: the role does not exist, or its trust policy does not allow it."""


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of an assumed role."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime


@dataclass(frozen=True)
class RequiredPermission:
    """A permission that a call requires.

    Attributes:
        action: The action as in a policy, `bedrock-agentcore:…`.
        resource: An ARN, or `*` for an action without a resource.
        context: Values of the condition keys that the service provides.
    """

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])


class Authorizer:
    """Sends requests to the authorizer over persistent connections."""

    def __init__(self, url: str, token: str) -> None:
        """Creates the client. `url` is the parent of `/authorize`, `/assumable` and the other paths."""
        self._url, self._token = url.rstrip("/"), f"Bearer {token}"
        # Separate threads: a slow authorizer must not block the work in asyncio's threads.
        self._threads = ThreadPoolExecutor(CONNECTIONS, "authorizer")
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=True)

    def is_sender(self, headers: Mapping[str, str]) -> bool:
        """Returns whether the authorizer itself sent a request with these headers."""
        return hmac.compare_digest(headers.get("authorization", "").encode(), self._token.encode())

    def sign(self, value: str) -> str:
        """Returns a value that the AWS emulator accepts only from this process: the value and its signature."""
        signature = hmac.new(self._token.encode(), value.encode(), hashlib.sha256).hexdigest()
        return f"{value} {signature}"

    async def authorize(self, request: HttpRequest, permission: RequiredPermission) -> str:
        """Returns the ARN of the principal that signed `request` and has the permission.

        Raises:
            AccessDeniedError: The signature is wrong, or no policy allows the action.
            InternalServerError: The authorizer does not respond.
        """
        response = await self._in_thread(lambda: self._post("authorize", _authorization_request(request, permission)))
        if response.get("allowed") is not True:
            raise AccessDeniedError(
                str(response.get("code", "AccessDeniedException")), str(response.get("message", ""))
            )
        return str(response["principal"])

    async def credentials(self, role_arn: str, interpreter_arn: str, session_id: str) -> Credentials:
        """Returns credentials of an execution role, assumed by the service for one interpreter.

        Raises:
            RoleNotAssumableError: The role does not trust the service for this interpreter.
            InternalServerError: The authorizer does not respond.
        """
        document = {"role": role_arn, "interpreter": interpreter_arn, "session": session_id}
        response = await self._in_thread(lambda: self._post("credentials", document))
        if "refused" in response:
            raise RoleNotAssumableError(str(response["refused"]))
        expiration = datetime.fromisoformat(response.pop("expiration"))
        return Credentials(expiration=expiration, **response)

    async def revoke(self, session_id: str) -> None:
        """Revokes the credentials of a session, and those that were obtained with them.

        Raises:
            InternalServerError: The authorizer does not respond.
        """
        await self._in_thread(lambda: self._post("revoke", {"session": session_id}))

    async def require_assumable(self, role_arn: str, interpreter_arn: str) -> None:
        """Checks that the service can assume a role for an interpreter, which may not exist yet.

        Raises:
            RoleNotAssumableError: The service cannot assume the role.
            InternalServerError: The authorizer does not respond.
        """
        document = {"role": role_arn, "interpreter": interpreter_arn}
        response = await self._in_thread(lambda: self._post("assumable", document))
        if "refused" in response:
            raise RoleNotAssumableError(str(response["refused"]))

    async def publish(self, document: Mapping[str, Any]) -> None:
        """Sends telemetry records.

        Raises:
            InternalServerError: The authorizer does not respond.
        """
        await self._in_thread(lambda: self._post("telemetry", document))

    def close(self) -> None:
        """Closes all connections. Pending requests succeed or fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    async def _in_thread(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"authorization": self._token, "content-type": "application/json"}
        try:
            # Retried if a persistent connection was closed in the meantime: requests have no side effects, or a number.
            response = self._pool.request(
                "POST",
                f"{self._url}/{path}",
                body=json.dumps(document),
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                retries=urllib3.Retry(2, allowed_methods=None, redirect=0),
            )
            if response.status != HTTP_OK:
                raise InternalServerError(f"The authorizer responded with status {response.status}")
            decoded: dict[str, Any] = json.loads(response.data)
        except (HTTPError, ValueError) as error:
            raise InternalServerError(f"The authorizer did not respond: {error}") from error
        return decoded


def _authorization_request(request: HttpRequest, permission: RequiredPermission) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.raw_query,
        "headers": dict(request.headers),
        "payload_sha256": hashlib.sha256(request.body).hexdigest(),
        "action": permission.action,
        "resource": permission.resource,
        "context": {key: list(values) for key, values in permission.context.items()},
    }
