"""A running emulator's own API from Python: faults on order, the clock, live sessions; pytest fixtures give them.

The embedded AWS asks for a token, which `sandpiper local env` exports; it is taken from the environment. Without it, or
with a wrong one, every call raises PermissionError; OSError when the emulator does not answer.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .faults import FORMS, Plan, Rule
from .settings import ADMIN_TOKEN_VARIABLE

TIMEOUT_SECONDS = 60.0
"""More than it takes to end all sessions, which moving the clock may."""
FORBIDDEN = 403
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an emulator is on loopback


class FaultInjector:
    """Orders faults of the emulator at an address, as `http://127.0.0.1:5200`."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/faults"

    def inject(self, *rules: Rule, seed: int = 0) -> None:
        """Has it follow these rules from now on, instead of those before.

        Raises:
            TypeError: one of them is no Rule.
            ValueError: it does not take them.
        """
        for rule in rules:
            if not isinstance(rule, Rule):  # pyright: ignore[reportUnnecessaryIsInstance] - tests are seldom typed
                raise TypeError(f"{rule!r} is no Rule; allowed: Rule(kind, …) with kind one of {' | '.join(FORMS)}")
        _request("PUT", self._url, Plan(rules, seed).as_json())

    def injected(self) -> list[int]:
        """Returns how many calls each rule has injected so far, in their order."""
        return [rule["injected"] for rule in _request("GET", self._url)["rules"]]

    def clear(self) -> None:
        """Ends all of them."""
        _request("DELETE", self._url)


class EmulatorClock:
    """The clock of the emulator at an address."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/clock"

    def now(self) -> datetime:
        """Returns the emulator's time."""
        return datetime.fromisoformat(_request("GET", self._url)["now"])

    def advance(self, seconds: float) -> datetime:
        """Moves it ahead, for good; what has no time left then ends. Returns the new time.

        Raises:
            ValueError: back, or further than ten years in all.
        """
        answer = _request("POST", self._url, json.dumps({"advance_seconds": seconds}).encode())
        return datetime.fromisoformat(answer["now"])


class LiveSessions:
    """The sessions that live in the emulator at an address, of all interpreters. Neither rates nor faults apply."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/sessions"

    def ids(self) -> set[str]:
        """Returns their ids."""
        return {session["sessionId"] for session in _request("GET", self._url)["live"]}

    def end(self, identifier: str) -> None:
        """Ends one, if it lives."""
        _request("DELETE", f"{self._url}/{quote(identifier, safe='')}")


def _request(method: str, url: str, body: bytes | None = None) -> Any:
    token = os.environ.get(ADMIN_TOKEN_VARIABLE)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  an emulator's own address
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            message = json.load(error)["message"]
        raise (PermissionError if error.code == FORBIDDEN else ValueError)(message) from None
