"""Calls to AWS that run at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Value = TypeVar("Value")
MAX_THREADS = 8
"""botocore keeps at most 10 connections of a client."""


def map_concurrently(function: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
    """Calls a function with each item, in threads if there are several, and returns the values in order.

    Example:
        >>> map_concurrently(len, ["a", "bc"])
        [1, 2]
    """
    if len(items) <= 1:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # imported here to keep cold starts fast

    with ThreadPoolExecutor(MAX_THREADS) as threads:
        return list(threads.map(function, items))
