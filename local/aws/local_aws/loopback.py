"""HTTP requests to the services of the embedded AWS. They never use a proxy, whatever the environment sets."""

from __future__ import annotations

import urllib.request

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def get(url: str, seconds: float) -> bytes:
    """Returns the body of a GET request.

    Args:
        url: The address.
        seconds: The timeout.

    Raises:
        OSError: There is no response, or its status is an error.
    """
    with _opener.open(url, timeout=seconds) as response:
        return response.read()
