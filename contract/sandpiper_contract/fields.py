"""Reads untyped JSON into typed values; every refusal names the field, what it is and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import cast

from sandpiper_contract.errors import InvalidRequest

SHOWN_CHARACTERS = 60
"""How much of a refused value a message repeats."""


def cut(text: str) -> str:
    """As much of a text as a message repeats."""
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def refuse(field: str, value: object, allowed: str) -> InvalidRequest:
    """The error for `field`, to be raised by the caller. It repeats the value: not for fields of code or data."""
    if not isinstance(value, str | int | float):
        return refuse_unseen(field, value, allowed)
    return InvalidRequest(f"{field} is {cut(repr(value))}; allowed: {allowed}")


def refuse_unseen(field: str, value: object, allowed: str) -> InvalidRequest:
    """The same without the value: an error's message goes to logs, where nobody's code and data belong."""
    return InvalidRequest(f"{field} is {_shape(value)}; allowed: {allowed}")


def _shape(value: object) -> str:
    if value is None:
        return "missing"
    if value == "":
        return "empty"
    size = len(value) if isinstance(value, Sized) else 0
    for kind, name in ((str, "a string of {:,} characters"), (list, "a list of {:,}"), (Mapping, "an object of {:,}")):
        if isinstance(value, kind):
            return name.format(size)
    return f"a {type(value).__name__}"


class Fields:
    """The members of one JSON object."""

    def __init__(self, raw: object, where: str, known: tuple[str, ...]) -> None:
        """`where` is the object's place in the request, such as `request` or `inputs[0]`.

        Refuses members that are not `known` before anything else: a misspelt one is often why a known one is missing.
        """
        if not isinstance(raw, Mapping):
            raise refuse_unseen(where, raw, "a JSON object")
        self._members = cast("Mapping[str, object]", raw)
        self._where = where
        for name in self._members:
            if name not in known:
                raise InvalidRequest(f"{self.place(cut(name))} is not a field; the fields are {', '.join(known)}")

    def place(self, name: str) -> str:
        """The full path of a member, as messages write it."""
        return name if self._where == "request" else f"{self._where}.{name}"

    def has(self, name: str) -> bool:
        """Whether the member is there."""
        return name in self._members

    def take(self, name: str, default: object = None) -> object:
        """The member as it came, or the default when it is absent."""
        return self._members.get(name, default)

    def text(self, name: str) -> str:
        """A string that is more than white space. A refusal does not repeat it."""
        value = self.take(name)
        if not isinstance(value, str) or not value.strip():
            raise refuse_unseen(self.place(name), value, "a string that is more than white space")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of a few words."""
        value = self.take(name, default)
        if not isinstance(value, str) or value not in allowed:
            raise refuse(self.place(name), value, " | ".join(allowed))
        return value

    def whole_number(self, name: str, low: int, high: int, default: int, unit: str) -> int:
        """A whole number from `low` to `high`, both included."""
        value = self.take(name, default)
        if type(value) is not int or not low <= value <= high:
            raise refuse(self.place(name), value, f"a whole number of {unit} from {low:,} to {high:,}")
        return value

    def items(self, name: str, most: int) -> list[tuple[str, object]]:
        """The entries of a list, each with its place in the request."""
        value = self.take(name, [])
        if not isinstance(value, list):
            raise refuse_unseen(self.place(name), value, "a list")
        entries = cast("list[object]", value)
        if len(entries) > most:
            raise refuse_unseen(self.place(name), entries, f"a list of at most {most}")
        return [(f"{self.place(name)}[{index}]", entry) for index, entry in enumerate(entries)]
