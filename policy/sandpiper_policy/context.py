"""The request context: condition keys and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | Sequence[str]
"""A string for a single-valued key; a sequence of strings, possibly empty, for a multivalued key."""


@dataclass(frozen=True)
class Context:
    """Condition keys and their values. Key names are case-insensitive."""

    values: Mapping[str, Value]

    @classmethod
    def from_keys(cls, keys: Mapping[str, Value]) -> Context:
        """Returns the context with these keys."""
        return cls({name.lower(): value for name, value in keys.items()})

    def get(self, key: str) -> Value | None:
        """Returns the value of a key, or None when the request does not have the key."""
        return self.values.get(key.lower())

    def single(self, key: str) -> str | None:
        """Returns the value of a single-valued key; None for a missing or multivalued key.

        A policy variable cannot expand to a multivalued key.
        """
        value = self.get(key)
        return value if isinstance(value, str) else None
