"""Reads decoded JSON and YAML without assumptions about its form."""

from __future__ import annotations

from typing import Any, cast


def as_mapping(value: object) -> dict[str, Any]:
    """Returns a mapping unchanged, and an empty one for any other value."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Returns a list unchanged, nothing for None, and any other value as a list with one item."""
    if value is None:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def as_text(value: object) -> str:
    """Returns a text unchanged, the JSON of a number or a boolean, and nothing for any other value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""
