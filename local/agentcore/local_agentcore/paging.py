"""Pages of a list, for the List operations."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .assumptions import Assumptions


class Numbered(Protocol):
    """What is listed has the number of its creation, by which a page goes on where the last one ended.

    So nothing is left out or shown twice when items come and go between two pages.
    """

    @property
    def number(self) -> int:
        """Returns the number, which no other item has."""
        ...


Item = TypeVar("Item", bound=Numbered)


def page(
    items: Sequence[Item],
    parameters: Mapping[str, Any],
    of: str,
    assumptions: Assumptions,
    *,
    newest_first: bool = False,
) -> tuple[list[Item], dict[str, str]]:
    """Returns the page that `maxResults` and `nextToken` ask for, and the answer's `nextToken` if there is more.

    Args:
        items: in the order of their numbers, or with `newest_first` in the opposite one.
        parameters: the request's.
        of: what is listed; a token of another list is refused.
        assumptions: how many a page has without `maxResults`, and the words of the refusal.
        newest_first: the order of the items.

    Raises:
        ValidationError: the token is not one of this list.
    """
    token, size = parameters.get("nextToken"), parameters.get("maxResults", assumptions.default_page_size)
    rest = list(items)
    if token is not None:
        last = _number_in(token, of)
        if last is None:
            raise ValidationError(assumptions.bad_next_token)
        rest = [item for item in items if (item.number < last if newest_first else item.number > last)]
    found = rest[:size]
    return found, {"nextToken": _token(found[-1].number, of)} if len(rest) > size else {}


def _token(number: int, of: str) -> str:
    return base64.urlsafe_b64encode(f"{number} {of}".encode()).decode()


def _number_in(token: str, of: str) -> int | None:
    try:
        number = base64.b64decode(token, altchars=b"-_", validate=True).decode().partition(" ")[0]
    except ValueError:
        return None
    return int(number) if number.isdecimal() and _token(int(number), of) == token else None
