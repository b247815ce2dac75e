"""What a cell shows besides text: images and tables, collected in the kernel and sent along when the cell has ended."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

MIME_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "text/html")
"""The forms that are sent, the best first: one of each thing that is shown."""
MAX_DISPLAYS = 100
MAX_BYTES = 16 * 1024 * 1024
"""Of one cell, in base64. A reply may have 24 MiB."""
MAX_ENCODED_BYTES = MAX_BYTES + 64 * 1024
INLINE_BACKEND = "module://matplotlib_inline.backend_inline"


class Displays:
    """What one cell has shown so far, within the limits."""

    def __init__(self) -> None:
        self._shown: list[dict[str, str]] = []
        self._bytes = 0
        self._dropped = 0

    def add(self, bundle: dict[str, Any]) -> bool:
        """Takes the best form of one thing. Returns whether it is an image, whose text nobody needs to see."""
        forms = ((mime_type, _base64(bundle[mime_type], mime_type)) for mime_type in MIME_TYPES if mime_type in bundle)
        mime_type, data = next((form for form in forms if form[1]), ("", ""))
        if not data:
            return False
        if len(self._shown) < MAX_DISPLAYS and self._bytes + len(data) <= MAX_BYTES:
            self._shown.append({"mimeType": mime_type, "data": data})
            self._bytes += len(data)
        else:
            self._dropped += 1
        return mime_type.startswith("image/")

    def drain(self) -> bytes:
        """Returns what was shown, as JSON, and begins anew. Nothing shown is no bytes."""
        shown, dropped = self._shown, self._dropped
        self._shown, self._bytes, self._dropped = [], 0, 0
        return json.dumps({"shown": shown, "dropped": dropped}).encode() if shown or dropped else b""


def capture_displays(shell: Any, displays: Displays) -> None:
    """Has IPython's shell send to `displays` what it shows: results of cells, and what display() is given."""
    hook, publisher = shell.displayhook, shell.display_pub
    write, publish = hook.write_format_data, publisher.publish

    def write_format_data(bundle: dict[str, Any], *arguments: Any, **options: Any) -> None:
        if not displays.add(bundle):
            write(bundle, *arguments, **options)

    def publish_bundle(data: dict[str, Any], *arguments: Any, **options: Any) -> None:
        if not displays.add(data):
            publish(data, *arguments, **options)

    register = shell.events.register

    def register_other(event: str, function: Any) -> None:
        # Matplotlib's backend would show, and close, what is still open when a cell ends: shown is what show() is
        # called on.
        if getattr(function, "__name__", "") != "flush_figures":
            register(event, function)

    hook.write_format_data, publisher.publish, shell.events.register = write_format_data, publish_bundle, register_other


def select_inline_backend() -> None:
    """Has matplotlib's plt.show() show figures to the shell, as in a notebook. Code may choose another."""
    os.environ["MPLBACKEND"] = INLINE_BACKEND


def _base64(value: Any, mime_type: str) -> str:
    """Returns what a formatter gave as base64: bytes, text, or base64 already; nothing for what is none of them."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    text = str(value)
    if mime_type in ("text/html", "image/svg+xml"):
        return base64.b64encode(text.encode("utf-8", "replace")).decode()
    try:
        return base64.b64encode(base64.b64decode(text)).decode()
    except ValueError:
        return ""
