"""Client of a running emulator's admin API: faults, the clock and live sessions. pytest fixtures provide instances.

The embedded AWS requires a token, which `sandpiper local env` exports and this client reads from the environment.
Without it, or with a wrong one, every call raises PermissionError. Every call raises OSError when the emulator does
not respond.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any
from urllib.parse import quote

from .faults import RULE_SCHEMAS, Plan, Rule
from .settings import ADMIN_TOKEN_VARIABLE

TIMEOUT_SECONDS = 60.0
"""Longer than advancing the clock takes, which may end all sessions."""
FORBIDDEN = 403
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # an emulator is on loopback


class FaultInjector:
    """Injects faults into the emulator at an address.

    Example:
        ```python
        faults = FaultInjector("http://127.0.0.1:5200")
        faults.inject(Rule("throttling", "executeCode", times=1))
        ...
        assert faults.injected() == [1]
        faults.clear()
        ```
    """

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/faults"

    def inject(self, *rules: Rule, seed: int = 0) -> None:
        """Replaces the emulator's fault plan.

        Args:
            rules: The rules of the new plan.
            seed: The seed of the rules' shares.

        Raises:
            TypeError: An argument is not a Rule.
            ValueError: The emulator rejects the plan.
        """
        for rule in rules:
            if not isinstance(rule, Rule):  # pyright: ignore[reportUnnecessaryIsInstance] - tests are seldom typed
                kinds = " | ".join(RULE_SCHEMAS)
                raise TypeError(f"{rule!r} is not a Rule; allowed: Rule(kind, …) with kind one of {kinds}")
        _request("PUT", self._url, Plan(rules, seed).to_json())

    def injected(self) -> list[int]:
        """Returns into how many calls each rule has injected its fault, in the rules' order."""
        return [rule["injected"] for rule in _request("GET", self._url)["rules"]]

    def clear(self) -> None:
        """Removes all rules."""
        _request("DELETE", self._url)


class EmulatorClock:
    """The clock of the emulator at an address.

    Example:
        `EmulatorClock("http://127.0.0.1:5200").advance(900)` ends sessions with a lifetime of 15 minutes.
    """

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/clock"

    def now(self) -> datetime:
        """Returns the emulator's time."""
        return datetime.fromisoformat(_request("GET", self._url)["now"])

    def advance(self, seconds: float) -> datetime:
        """Advances the clock permanently and ends what expires. Returns the new time.

        Raises:
            ValueError: `seconds` is negative, or the clock would be more than ten years ahead.
        """
        response = _request("POST", self._url, json.dumps({"advance_seconds": seconds}).encode())
        return datetime.fromisoformat(response["now"])


class LiveSessions:
    """The live sessions of all interpreters of the emulator at an address. Neither throttles nor faults apply."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/sessions"

    def ids(self) -> set[str]:
        """Returns the ids of the live sessions."""
        return {session["sessionId"] for session in _request("GET", self._url)["live"]}

    def end(self, identifier: str) -> None:
        """Ends a session if it is live."""
        _request("DELETE", f"{self._url}/{quote(identifier, safe='')}")


def _request(method: str, url: str, body: bytes | None = None) -> Any:
    token = os.environ.get(ADMIN_TOKEN_VARIABLE)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  an emulator's own address
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            message = json.load(error)["message"]
        raise (PermissionError if error.code == FORBIDDEN else ValueError)(message) from None
