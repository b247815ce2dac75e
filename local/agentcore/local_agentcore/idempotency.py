"""A call repeated with its client token gets the first one's answer: a client that retries starts nothing twice."""

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
    answer: asyncio.Future[dict[str, Any]]
    made: datetime


class Idempotency:
    """Remembers the latest calls that had a token, as long as the guess `client_token_seconds` says."""

    def __init__(self, clock: Clock, assumptions: Assumptions) -> None:
        self._clock, self._assumptions = clock, assumptions
        self._calls: OrderedDict[tuple[str, str], _Call] = OrderedDict()

    async def once(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        action: Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]],
    ) -> dict[str, Any]:
        """Does `action`, or returns what it returned, or will return, for the same token. A failure is not remembered.

        Raises:
            ValidationError: the token was used with other parameters.
        """
        token = parameters.get(TOKEN)
        if token is None:
            return await action(parameters)
        request = {name: value for name, value in parameters.items() if name != TOKEN and not name.startswith("trace")}
        self._forget_old()
        earlier = self._calls.get((operation, token))
        if earlier is not None:
            if earlier.request != request:
                raise ValidationError(self._assumptions.token_mismatch, reason="IdempotentParameterMismatchException")
            return await asyncio.shield(earlier.answer)
        answer = asyncio.ensure_future(action(parameters))
        self._calls[operation, token] = call = _Call(request, answer, self._clock())
        answer.add_done_callback(lambda _: self._forget_failure((operation, token), call))
        return await asyncio.shield(answer)

    def _forget_failure(self, key: tuple[str, str], call: _Call) -> None:
        """Whoever waited for it: the first caller may have been cancelled."""
        if (call.answer.cancelled() or call.answer.exception() is not None) and self._calls.get(key) is call:
            del self._calls[key]

    def _forget_old(self) -> None:
        oldest = self._clock() - timedelta(seconds=self._assumptions.client_token_seconds)
        for key, call in list(self._calls.items()):  # in the order in which they were made
            if call.made > oldest and len(self._calls) < MAX_REMEMBERED_CALLS:
                return
            del self._calls[key]
