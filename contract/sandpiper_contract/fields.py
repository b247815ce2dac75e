"""Reads untyped JSON into typed values; every refusal names the field, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from sandpiper_contract.errors import InvalidRequest

SHOWN_CHARACTERS = 60
"""How much of a refused value a message repeats: enough to find it, too little to carry user code into a log."""


def refuse(field: str, value: object, allowed: str) -> InvalidRequest:
    """The error for `field`, to be raised by the caller."""
    shown = repr(value)
    if len(shown) > SHOWN_CHARACTERS:
        shown = shown[: SHOWN_CHARACTERS - 1] + "…"
    return InvalidRequest(f"{field} is {shown}; allowed: {allowed}")


class Fields:
    """The members of one JSON object, each taken once by its name; `close` refuses what nobody took."""

    def __init__(self, raw: object, where: str) -> None:
        """`where` is the object's place in the request, such as `request` or `inputs[0]`."""
        if not isinstance(raw, Mapping):
            raise refuse(where, raw, "a JSON object")
        self._members = dict(cast("Mapping[str, object]", raw))
        self._where = where
        self._known: list[str] = []

    def place(self, name: str) -> str:
        """The full path of a member, as messages write it."""
        return name if self._where == "request" else f"{self._where}.{name}"

    def has(self, name: str) -> bool:
        """Whether the member is there; it counts as known from now on."""
        self._known.append(name)
        return name in self._members

    def take(self, name: str, default: object = None) -> object:
        """The member as it came, or the default when it is absent."""
        self._known.append(name)
        return self._members.pop(name, default)

    def text(self, name: str, default: str | None = None) -> str:
        """A string that is not empty."""
        value = self.take(name, default)
        if not isinstance(value, str) or not value:
            raise refuse(self.place(name), value, "a string that is not empty")
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
            raise refuse(self.place(name), value, "a list")
        entries = cast("list[object]", value)
        if len(entries) > most:
            raise refuse(self.place(name), f"{len(entries)} entries", f"at most {most}")
        return [(f"{self.place(name)}[{index}]", entry) for index, entry in enumerate(entries)]

    def close(self) -> None:
        """Refuses members that the contract does not know."""
        for name, value in self._members.items():
            if name not in self._known:
                raise refuse(self.place(name), value, "no such field; the fields are " + ", ".join(self._known))
