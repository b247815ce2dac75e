"""Who may do what, asked of the AWS that the emulator is part of. Without one nobody is asked, and roles give nothing.

Over HTTP on loopback, with JSON and a bearer token that both sides were given when they were started. The authority's
own calls bear the same token: it does not have to ask itself, and could not, for its one thread waits for the answer.
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

from .errors import InternalServerError, NotAuthorizedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .protocol import HttpRequest

CONNECTIONS = 8
TIMEOUT_SECONDS = 30.0
HTTP_OK = 200


class RoleNotAssumableError(Exception):
    """A role gives its credentials to nobody of that name: its trust policy, or that it does not exist."""


@dataclass(frozen=True)
class Credentials:
    """What an assumed role gives, until it expires."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime


@dataclass(frozen=True)
class RequiredPermission:
    """What a caller has to be allowed to do.

    Attributes:
        action: as in a policy, `bedrock-agentcore:…`.
        resource: an ARN, or `*` for an action that knows no resource.
        context: values of condition keys that the service itself knows.
    """

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict[str, "Sequence[str]"])


class Authorizer:
    """The other side's client. Each question is one request on a kept connection."""

    def __init__(self, url: str, token: str) -> None:
        """`url` is what `/authorize`, `/assumable` and `/credentials` stand below."""
        self._url, self._token = url.rstrip("/"), f"Bearer {token}"
        # A pool of its own: whoever waits for the authorizer must not hold up what runs in asyncio's threads.
        self._threads = ThreadPoolExecutor(CONNECTIONS, "authority")
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, block=True)

    def is_itself(self, headers: Mapping[str, str]) -> bool:
        """Whether a request comes from the authorizer."""
        return hmac.compare_digest(headers.get("authorization", "").encode(), self._token.encode())

    async def authorize(self, request: HttpRequest, need: RequiredPermission) -> str:
        """Returns the ARN of the principal that signed `request` and may do what it needs.

        Raises:
            NotAuthorizedError: the signature is wrong, or no policy allows it.
            InternalServerError: the authorizer cannot be asked.
        """
        answer = await self._in_thread(lambda: self._ask("authorize", _question(request, need)))
        if answer.get("allowed") is not True:
            raise NotAuthorizedError(str(answer.get("code", "AccessDeniedException")), str(answer.get("message", "")))
        return str(answer["principal"])

    async def credentials(self, role_arn: str, interpreter_arn: str, session_id: str) -> Credentials:
        """Returns credentials of an execution role, assumed as the service for one interpreter.

        Raises:
            RoleNotAssumableError: the role does not trust the service for this interpreter.
            InternalServerError: the authorizer cannot be asked.
        """
        question = {"role": role_arn, "interpreter": interpreter_arn, "session": session_id}
        answer = await self._in_thread(lambda: self._ask("credentials", question))
        if "refused" in answer:
            raise RoleNotAssumableError(str(answer["refused"]))
        expiration = datetime.fromisoformat(answer.pop("expiration"))
        return Credentials(expiration=expiration, **answer)

    async def require_assumable(self, role_arn: str, interpreter_arn: str) -> None:
        """Returns when the service may assume a role for an interpreter, which need not be there yet.

        Raises:
            RoleNotAssumableError: it may not.
            InternalServerError: the authorizer cannot be asked.
        """
        question = {"role": role_arn, "interpreter": interpreter_arn}
        answer = await self._in_thread(lambda: self._ask("assumable", question))
        if "refused" in answer:
            raise RoleNotAssumableError(str(answer["refused"]))

    def close(self) -> None:
        """Closes what is open. Questions on their way are answered or fail."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.clear()

    async def _in_thread(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _ask(self, path: str, question: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"authorization": self._token, "content-type": "application/json"}
        try:
            # Asked again where a kept connection had been closed meanwhile: a question changes nothing.
            answer = self._pool.request(
                "POST",
                f"{self._url}/{path}",
                body=json.dumps(question),
                headers=headers,
                timeout=TIMEOUT_SECONDS,
                retries=urllib3.Retry(2, allowed_methods=None, redirect=0),
            )
            if answer.status != HTTP_OK:
                raise InternalServerError(f"IAM answered {answer.status} and not whether this is allowed")
            decoded: dict[str, Any] = json.loads(answer.data)
        except (HTTPError, ValueError) as error:
            raise InternalServerError(f"IAM could not be asked whether this is allowed: {error}") from error
        return decoded


def _question(request: HttpRequest, need: RequiredPermission) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.raw_query,
        "headers": dict(request.headers),
        "payload_sha256": hashlib.sha256(request.body).hexdigest(),
        "action": need.action,
        "resource": need.resource,
        "context": {key: list(values) for key, values in need.context.items()},
    }
