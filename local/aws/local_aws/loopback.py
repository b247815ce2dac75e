"""HTTP to our own services: never through a proxy, whatever the shell is set to."""

from __future__ import annotations

import urllib.request

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, seconds: float) -> bytes:
    """What GET answers within so many seconds. Raises OSError when there is no answer, or one that is an error."""
    with _opener.open(url, timeout=seconds) as answer:
        return answer.read()
