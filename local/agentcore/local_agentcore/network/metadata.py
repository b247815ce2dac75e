"""The instance metadata service at 169.254.169.254 (IMDSv2), which serves the credentials of a session's role.

AgentCore's MMDS uses the same protocol (AgentCore developer guide, "Credentials Management"). On AWS it serves the role
under the name `execution_role` (from public reports).
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

import h11

from ..errors import InternalServerError
from .http import Peer

if TYPE_CHECKING:
    import asyncio

    from .role import SessionRole

ADDRESS = ("169.254.169.254", 80)
ROLE_NAME = "execution_role"
TOKEN_PATH = "/latest/api/token"  # noqa: S105  a path
ROLES_PATH = "/latest/meta-data/iam/security-credentials"
REGION_PATH = "/latest/meta-data/placement/region"
TOKEN_HEADER, TTL_HEADER = "x-aws-ec2-metadata-token", "x-aws-ec2-metadata-token-ttl-seconds"
MAX_TTL_SECONDS = 21_600
MAX_TOKENS = 1_000
IDLE_SECONDS = 60.0

Response = tuple[int, dict[str, str], bytes]


class Metadata:
    """The metadata service of one session. Without a role it responds to credential requests with 404, as EC2 does."""

    def __init__(self, role: SessionRole | None, region: str) -> None:
        self._role, self._region = role, region
        self._tokens: dict[str, float] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        peer = Peer(h11.SERVER, reader, writer)
        try:
            while isinstance(request := await peer.receive(IDLE_SECONDS), h11.Request):
                await peer.respond(*await self._respond(request))
                if not isinstance(await peer.receive(IDLE_SECONDS), h11.EndOfMessage) or not peer.next_request():
                    return
        except h11.RemoteProtocolError as error:
            if peer.state.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                await peer.respond(*_text(error.error_status_hint))

    async def _respond(self, request: h11.Request) -> Response:
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        path = request.target.decode().partition("?")[0]
        if "x-forwarded-for" in headers:  # another client's request, forwarded by a proxy
            return _text(403)
        if path == TOKEN_PATH:
            return self._token(headers.get(TTL_HEADER, "")) if request.method == b"PUT" else _text(405)
        if request.method not in {b"GET", b"HEAD"}:
            return _text(405)
        if self._tokens.get(headers.get(TOKEN_HEADER, ""), 0) <= time.monotonic():
            return _text(401)
        return await self._value(path.rstrip("/"))

    def _token(self, ttl: str) -> Response:
        if not (ttl.isascii() and ttl.isdigit() and len(ttl) < 10 and 1 <= int(ttl) <= MAX_TTL_SECONDS):
            return _text(400)
        now = time.monotonic()
        self._tokens = {token: end for token, end in self._tokens.items() if end > now}
        if len(self._tokens) >= MAX_TOKENS:
            return _text(503)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = now + int(ttl)
        return _text(200, token, {TTL_HEADER: ttl})

    async def _value(self, path: str) -> Response:
        if path == REGION_PATH:
            return _text(200, self._region)
        if self._role is None or not path.startswith(ROLES_PATH):
            return _text(404)
        if path == ROLES_PATH:
            return _text(200, ROLE_NAME)
        if path != f"{ROLES_PATH}/{ROLE_NAME}":
            return _text(404)
        try:
            document = await self._role.document()
        except InternalServerError:  # already logged by the role
            return _text(500)
        return 200, {"content-type": "application/json"}, json.dumps(document, indent=2).encode()


def _text(status: int, text: str = "", headers: dict[str, str] | None = None) -> Response:
    return status, {"content-type": "text/plain", **(headers or {})}, text.encode()
