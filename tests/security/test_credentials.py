"""Requests for role credentials while the authorizer is unavailable: the response, the calls made and the log."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import h11

from local_agentcore.errors import InternalServerError
from local_agentcore.network import role
from local_agentcore.network.metadata import ROLE_NAME, ROLES_PATH, TOKEN_HEADER, TOKEN_PATH, TTL_HEADER, Metadata

if TYPE_CHECKING:
    import pytest


class UnavailableAuthorizer:
    """An authorizer that fails every request and counts them."""

    def __init__(self) -> None:
        self.requests = 0

    async def credentials(self, *_: str) -> None:
        self.requests += 1
        raise InternalServerError("IAM could not be called")

    async def revoke(self, _: str) -> None:
        self.requests += 1
        raise InternalServerError("IAM could not be called")


async def request_credentials(metadata: Metadata, count: int) -> list[int]:
    """Requests credentials repeatedly on one connection. Returns the status codes."""
    server = await asyncio.start_server(metadata.serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    caller = h11.Connection(h11.CLIENT)

    async def send(method: str, path: str, name: str, value: str) -> h11.Response:
        request = h11.Request(method=method, target=path, headers=[("Host", "169.254.169.254"), (name, value)])
        writer.write((caller.send(request) or b"") + (caller.send(h11.EndOfMessage()) or b""))
        response = None
        while not isinstance(event := caller.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                caller.receive_data(await asyncio.wait_for(reader.read(65536), 10))
            assert not isinstance(event, h11.ConnectionClosed), "the connection was closed"
            response = event if isinstance(event, h11.Response) else response
            tokens.extend([bytes(event.data)] if isinstance(event, h11.Data) else [])
        caller.start_next_cycle()
        assert response is not None
        return response

    tokens: list[bytes] = []
    await send("PUT", TOKEN_PATH, TTL_HEADER, "60")
    token = b"".join(tokens).decode()
    path = f"{ROLES_PATH}/{ROLE_NAME}"
    statuses = [(await send("GET", path, TOKEN_HEADER, token)).status_code for _ in range(count)]
    writer.close()
    server.close()
    return statuses


def test_failed_credentials_are_requested_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role, "FAILURE_CACHE_TIME", timedelta(hours=1))
    authorizer = UnavailableAuthorizer()
    session = role.SessionRole(authorizer, "role", "interpreter", "session")  # pyright: ignore[reportArgumentType]
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(request_credentials(Metadata(session, "us-east-1"), 50)) == [500] * 50
    assert authorizer.requests == 1
    logged = [record for record in caplog.records if record.name.startswith("local_agentcore")]
    assert len(logged) == 1


def test_session_ends_although_its_credentials_cannot_be_revoked(caplog: pytest.LogCaptureFixture) -> None:
    authorizer = UnavailableAuthorizer()

    async def use_and_end(*, use: bool) -> list[int]:
        session = role.SessionRole(authorizer, "role", "interpreter", "session")  # pyright: ignore[reportArgumentType]
        statuses = await request_credentials(Metadata(session, "us-east-1"), 1) if use else []
        await session.revoke()
        return [*statuses, *await request_credentials(Metadata(session, "us-east-1"), 1)]

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(use_and_end(use=False)) == [500]
        assert authorizer.requests == 0
        assert asyncio.run(use_and_end(use=True)) == [500, 500]
    assert authorizer.requests == 2
    assert "The credentials of session session are valid until they expire: IAM could not be called" in caplog.text
