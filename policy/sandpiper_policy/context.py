"""The request context: values of condition keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = str | Sequence[str]
"""A text for a single-valued key; several texts, perhaps one or none, for a multivalued one."""


@dataclass(frozen=True)
class Context:
    """Condition keys and their values. Names of keys are not case-sensitive."""

    values: Mapping[str, Value]

    @classmethod
    def of(cls, keys: Mapping[str, Value]) -> Context:
        """The context with these keys. One without a value is left out."""
        return cls({name.lower(): value for name, value in keys.items()})

    def get(self, key: str) -> Value | None:
        """The value of a key, or None when the request has no such key."""
        return self.values.get(key.lower())

    def single(self, key: str) -> str | None:
        """The value of a single-valued key, or None: a multivalued one has no place in a text."""
        value = self.get(key)
        return value if isinstance(value, str) else None
