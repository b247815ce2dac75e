"""Images and tables that a cell displays, collected in the kernel and sent after the cell."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

MIME_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml", "text/html")
"""MIME types in order of preference. One representation of each displayed object is sent."""
MAX_DISPLAYS = 100
MAX_BYTES = 16 * 1024 * 1024
"""Maximum size of the displays of one cell in base64. A response of the service has at most 24 MiB."""
MAX_ENCODED_BYTES = MAX_BYTES + 64 * 1024
INLINE_BACKEND = "module://matplotlib_inline.backend_inline"


class Displays:
    """The displays of one cell so far, within the limits."""

    def __init__(self) -> None:
        self._shown: list[dict[str, str]] = []
        self._bytes = 0
        self._dropped = 0

    def add(self, bundle: dict[str, Any]) -> bool:
        """Adds the preferred representation of an object. Returns whether it is an image, which needs no text."""
        encoded = (
            (mime_type, _base64(bundle[mime_type], mime_type)) for mime_type in MIME_TYPES if mime_type in bundle
        )
        mime_type, data = next((item for item in encoded if item[1]), ("", ""))
        if not data:
            return False
        if len(self._shown) < MAX_DISPLAYS and self._bytes + len(data) <= MAX_BYTES:
            self._shown.append({"mimeType": mime_type, "data": data})
            self._bytes += len(data)
        else:
            self._dropped += 1
        return mime_type.startswith("image/")

    def drain(self) -> bytes:
        """Returns the displays as JSON and removes them. Returns no bytes if there are none."""
        shown, dropped = self._shown, self._dropped
        self._shown, self._bytes, self._dropped = [], 0, 0
        return json.dumps({"shown": shown, "dropped": dropped}).encode() if shown or dropped else b""


def capture_displays(shell: Any, displays: Displays) -> None:
    """Redirects results of cells and arguments of display() from IPython's shell to `displays`."""
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
        # Matplotlib's backend would show and close all open figures after a cell. The service shows only figures that
        # the code calls show() for.
        if getattr(function, "__name__", "") != "flush_figures":
            register(event, function)

    hook.write_format_data, publisher.publish, shell.events.register = write_format_data, publish_bundle, register_other


def select_inline_backend() -> None:
    """Selects matplotlib's inline backend, as in a notebook. Code may select another."""
    os.environ["MPLBACKEND"] = INLINE_BACKEND


def _base64(value: Any, mime_type: str) -> str:
    """Returns a formatter's value as base64. The value is bytes, text or base64; otherwise the result is empty."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    text = str(value)
    if mime_type in ("text/html", "image/svg+xml"):
        return base64.b64encode(text.encode("utf-8", "replace")).decode()
    try:
        return base64.b64encode(base64.b64decode(text)).decode()
    except ValueError:
        return ""
