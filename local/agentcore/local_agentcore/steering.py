"""A running emulator's own API from Python: faults on order, the clock, live sessions; pytest fixtures give them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .faults import Plan

if TYPE_CHECKING:
    from .faults import Rule


class FaultOrders:
    """Orders faults of the emulator at an address, as `http://127.0.0.1:5200`."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/_local/faults"

    def order(self, *rules: Rule, seed: int = 0) -> None:
        """Has it follow these rules from now on, instead of those before.

        Raises:
            ValueError: it does not take them.
        """
        _request("PUT", self._url, Plan(rules, seed).as_json())

    def struck(self) -> list[int]:
        """Returns how many calls each rule has struck so far, in their order."""
        return [rule["struck"] for rule in _request("GET", self._url)["rules"]]

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
        _request("DELETE", f"{self._url}/{identifier}")


def _request(method: str, url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, method=method)  # noqa: S310  an emulator's own address
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(json.load(error)["message"]) from None
