"""Images and tables that a cell displayed, parsed from the untrusted message of its sandbox."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, cast

from .guest.displays import MAX_BYTES, MAX_DISPLAYS, MIME_TYPES


@dataclass(frozen=True)
class Display:
    """One image or HTML table."""

    mime_type: str
    data: bytes


@dataclass(frozen=True)
class Displays:
    """All displays of one cell, in order. `dropped` is the number of displays over the limits."""

    shown: tuple[Display, ...] = ()
    dropped: int = 0


def parse_displays(payload: bytes) -> Displays:
    """Parses the message of a kernel. Invalid items are ignored."""
    try:
        message: Any = json.loads(payload) if payload else None
    except (ValueError, RecursionError):
        return Displays()
    if not isinstance(message, dict):
        return Displays()
    items, dropped = (cast("dict[str, Any]", message).get(name) for name in ("shown", "dropped"))
    if not isinstance(items, list) or not isinstance(dropped, int):
        return Displays()
    shown: list[Display] = []
    remaining = MAX_BYTES
    for item in cast("list[object]", items)[:MAX_DISPLAYS]:
        match item:
            case {"mimeType": str(mime_type), "data": str(text)} if mime_type in MIME_TYPES and len(text) <= remaining:
                try:
                    shown.append(Display(mime_type, base64.b64decode(text, validate=True)))
                except (binascii.Error, ValueError):
                    continue
                remaining -= len(text)
            case _:
                continue
    return Displays(tuple(shown), max(dropped, 0))
