"""The configuration of one tenant: its interpreters and its prefix of the data bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper_contract import requests
from sandpiper_contract.errors import InterpreterNotFound, InvalidRequest
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_SESSION_SECONDS = (requests.DEFAULT_SESSION_TIMEOUT_SECONDS, requests.DEFAULT_MAX_SESSION_TIMEOUT_SECONDS)


@dataclass(frozen=True, eq=False, repr=False)
class TenantConfig:
    """The interpreters, data folder and session lifetimes of a tenant.

    Attributes:
        interpreters: Interpreter identifiers by key; the first is the default.
        bucket: Name of the data bucket.
        prefix: The tenant's prefix, without a slash at its end.
        session_seconds: Default and maximum lifetime of a session in seconds, by interpreter key.
        max_batch_concurrency: Maximum number of concurrent sessions of a batch. None if the tenant runs no batches.
        seconds_between_calls: The least time between two calls to a session of a batch.
    """

    interpreters: Mapping[str, str]
    bucket: str
    prefix: str
    session_seconds: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, "tuple[int, int]"])
    max_batch_concurrency: int | None = None
    seconds_between_calls: float = 0.0

    def interpreter_key(self, key: str | None) -> str:
        """Returns the key, or the default for None. Raises InterpreterNotFound with the existing keys."""
        if key is None:
            return next(iter(self.interpreters))
        if key not in self.interpreters:
            raise InterpreterNotFound(f"interpreter is {key!r}; allowed: {' | '.join(self.interpreters)}")
        return key

    def interpreter_id(self, key: str | None) -> str:
        """Returns the identifier for a key, or the default's for None. Raises InterpreterNotFound."""
        return self.interpreters[self.interpreter_key(key)]

    def lifetime_seconds(self, request: requests.StartRequest) -> int:
        """Returns the lifetime of the session that a request starts.

        It is at least as long as the requested timeout of the program and the time reserved after it.

        Raises:
            InvalidRequest: The lifetime or the timeout is above the interpreter's maximum.
        """
        key = self.interpreter_key(request.interpreter)
        default, maximum = self.session_seconds.get(key, _DEFAULT_SESSION_SECONDS)
        requested = request.session_timeout_seconds
        if requested is not None:
            minimum = requests.SESSION_TIMEOUT_SECONDS[0]
            _require_at_most("sessionTimeoutSeconds", requested, minimum, maximum, key)
            return requested
        is_started = isinstance(request, requests.StartCommand)
        if is_started:
            default = min(requests.DEFAULT_COMMAND_TIMEOUT_SECONDS, maximum)
        timeout = None if isinstance(request, requests.OpenSession) else request.timeout_seconds
        if timeout is None:
            return default
        _require_at_most("timeoutSeconds", timeout, 1, maximum - requests.TIMEOUT_RESERVE_SECONDS, key)
        reserve = requests.COMMAND_RESERVE_SECONDS if is_started else requests.TIMEOUT_RESERVE_SECONDS
        return max(default, min(timeout + reserve, maximum))

    def max_lifetime_seconds(self, key: str) -> int:
        """Returns the maximum lifetime of a session of an interpreter."""
        return self.session_seconds.get(key, _DEFAULT_SESSION_SECONDS)[1]

    def folder(self, *parts: str) -> S3Object:
        """Returns a folder below the tenant's prefix, without a slash at its end."""
        return S3Object(self.bucket, "/".join((self.prefix, *parts)))


def _require_at_most(field: str, value: int, minimum: int, maximum: int, key: str) -> None:
    if value > maximum:
        raise InvalidRequest(f"{field} is {value}; allowed: {minimum} to {maximum:,} seconds for the interpreter {key}")
