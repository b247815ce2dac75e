"""Client tokens: a repeated call with the same token gets the first call's result and has no other effect."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from .assumptions import Assumptions
    from .clock import Clock

MAX_REMEMBERED_CALLS = 10_000
TOKEN = "clientToken"  # noqa: S105  the member's name


@dataclass(frozen=True)
class _Call:
    request: dict[str, Any]
    result: asyncio.Future[dict[str, Any]]
    started: datetime


class Idempotency:
    """Remembers the latest calls with a token, each for the assumption `client_token_seconds`."""

    def __init__(self, clock: Clock, assumptions: Assumptions) -> None:
        self._clock, self._assumptions = clock, assumptions
        self._calls: OrderedDict[tuple[str, str], _Call] = OrderedDict()

    async def run(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        action: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        """Runs `action`, or returns the finished or pending result of the same token. Failures are not remembered.

        Raises:
            ValidationError: The token was used with other parameters.
        """
        token = parameters.get(TOKEN)
        if token is None:
            return await action(parameters)
        request = {name: value for name, value in parameters.items() if name != TOKEN and not name.startswith("trace")}
        self._forget_expired()
        earlier = self._calls.get((operation, token))
        if earlier is not None:
            if earlier.request != request:
                raise ValidationError(self._assumptions.token_mismatch, reason="IdempotentParameterMismatchException")
            return await asyncio.shield(earlier.result)
        result = asyncio.ensure_future(action(parameters))
        self._calls[operation, token] = call = _Call(request, result, self._clock())
        result.add_done_callback(lambda _: self._forget_failure((operation, token), call))
        return await asyncio.shield(result)

    def _forget_failure(self, key: tuple[str, str], call: _Call) -> None:
        """Forgets a failed call. A callback, since the first caller may have been cancelled."""
        if (call.result.cancelled() or call.result.exception() is not None) and self._calls.get(key) is call:
            del self._calls[key]

    def _forget_expired(self) -> None:
        oldest = self._clock() - timedelta(seconds=self._assumptions.client_token_seconds)
        for key, call in list(self._calls.items()):  # in the order in which they started
            if call.started > oldest and len(self._calls) < MAX_REMEMBERED_CALLS:
                return
            del self._calls[key]
