"""Pages of the List operations."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .assumptions import Assumptions


class Numbered(Protocol):
    """A list item with the number of its creation.

    A page continues after the last number of the previous one, so that no item is skipped or repeated when items are
    added or removed between two pages.
    """

    @property
    def number(self) -> int:
        """Returns the number, which is unique."""
        ...


Item = TypeVar("Item", bound=Numbered)


def page(
    items: Sequence[Item],
    parameters: Mapping[str, Any],
    list_name: str,
    assumptions: Assumptions,
    *,
    newest_first: bool = False,
) -> tuple[list[Item], dict[str, str]]:
    """Returns the page that `maxResults` and `nextToken` select, and the response's `nextToken` if there is more.

    Args:
        items: The items in the order of their numbers, or in reverse order with `newest_first`.
        parameters: The request's parameters.
        list_name: The name of the list. A token of another list is rejected.
        assumptions: The default page size and the error message.
        newest_first: The order of the items.

    Raises:
        ValidationError: The token is not one of this list.
    """
    token, size = parameters.get("nextToken"), parameters.get("maxResults", assumptions.default_page_size)
    rest = list(items)
    if token is not None:
        last = _number_in(token, list_name)
        if last is None:
            raise ValidationError(assumptions.bad_next_token)
        rest = [item for item in items if (item.number < last if newest_first else item.number > last)]
    selected = rest[:size]
    return selected, {"nextToken": _token(selected[-1].number, list_name)} if len(rest) > size else {}


def _token(number: int, list_name: str) -> str:
    return base64.urlsafe_b64encode(f"{number} {list_name}".encode()).decode()


def _number_in(token: str, list_name: str) -> int | None:
    try:
        number = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")[0]
    except ValueError:
        return None
    return int(number) if number.isdecimal() and _token(int(number), list_name) == token else None
