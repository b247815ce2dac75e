"""Pages of a list, for the List operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGE_SIZE = 100
Item = TypeVar("Item")


def page(items: Sequence[Item], parameters: Mapping[str, Any]) -> tuple[list[Item], dict[str, str]]:
    """Returns the page that `maxResults` and `nextToken` ask for, and the answer's `nextToken` if there is more."""
    token = parameters.get("nextToken", "0")
    if not token.isdecimal():
        raise ValidationError("The next token is not one that this operation returned")
    start = int(token)
    end = start + parameters.get("maxResults", PAGE_SIZE)
    return list(items[start:end]), {"nextToken": str(end)} if end < len(items) else {}
