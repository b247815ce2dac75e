"""A call repeated with its client token gets the first one's answer: a client that retries starts nothing twice."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

REMEMBERED_CALLS = 10_000
TOKEN = "clientToken"  # noqa: S105  the member's name


class Idempotency:
    """Remembers the latest calls that had a token."""

    def __init__(self) -> None:
        self._calls: OrderedDict[tuple[str, str], tuple[dict[str, Any], asyncio.Future[dict[str, Any]]]] = OrderedDict()

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
        earlier = self._calls.get((operation, token))
        if earlier is not None:
            if earlier[0] != request:
                raise ValidationError(
                    "The client token was used before with different parameters",
                    reason="IdempotentParameterMismatchException",
                )
            return await asyncio.shield(earlier[1])
        answer = asyncio.ensure_future(action(parameters))
        self._calls[operation, token] = (request, answer)
        while len(self._calls) > REMEMBERED_CALLS:
            self._calls.popitem(last=False)
        try:
            return await asyncio.shield(answer)
        except Exception:
            self._calls.pop((operation, token), None)
            raise
