"""Payloads of application logs, shortened to what fits into a log event."""

from __future__ import annotations

from typing import Any, cast

MAX_CHARACTERS = 16_384
MAX_ITEMS = 100


def shortened(payload: Any) -> Any:
    """Returns a payload as JSON values, with at most about MAX_CHARACTERS of text. Bytes are replaced by their number.

    Longer text is not copied, because a payload can have 100 MB.
    """
    return _shortened(payload, [MAX_CHARACTERS])


def _shortened(value: Any, left: list[int]) -> Any:
    if isinstance(value, str):
        kept = value[: left[0]]
        left[0] -= len(kept)
        return kept if len(kept) == len(value) else f"{kept}… ({len(value)} characters)"
    if isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes)"
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {name: _shortened(member, left) for name, member in list(members)[:MAX_ITEMS]}
    if isinstance(value, (list, tuple)):
        return [_shortened(item, left) for item in cast("list[Any]", value)[:MAX_ITEMS]]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
