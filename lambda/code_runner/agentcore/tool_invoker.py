"""Calls of InvokeCodeInterpreter: each tool is one call, which is sent once or may be repeated."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from code_runner.agentcore.event_stream import read_events
from code_runner.agentcore.limits import MAX_REQUEST_BYTES
from code_runner.agentcore.responses import ToolResult
from code_runner.agentcore.retries import with_retries
from code_runner.agentcore.service_errors import AWS_ERRORS, from_service, session_had_ended, was_accepted
from sandpiper_contract.errors import (
    DeadlineExceeded,
    InvalidRequest,
    PayloadTooLarge,
    RunError,
    ServiceFault,
    SessionLost,
    Throttled,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline

RETRY_DELAYS_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Delays before a call is repeated. In their total time, an account can make more than 200 calls at its quota of 30
calls per second."""
MIN_REMAINING_SECONDS = 3
"""A call is not sent if less time remains for its response."""
TOOL_TIMEOUT_SECONDS = 60
"""Timeout of a call that does not run the caller's code."""
MAX_CALL_SECONDS = 900
"""The service's limit for a call that waits for code."""
CLOCK_SKEW_SECONDS = 5
"""A session may end this much earlier than computed, because clocks differ."""
START_LATENCY_SECONDS = 60
"""A session may end this much later than computed: its lifetime begins at its start, and the response may be late."""


@dataclass(frozen=True, eq=False, repr=False)
class ToolInvoker:
    """Calls the tools of one session, and repeats calls that failed if that is safe.

    No call waits beyond `deadline`; it raises DeadlineExceeded instead. Every method raises errors of the contract
    (RunError).

    Attributes:
        clients: The boto clients.
        interpreter_id: Identifier of the interpreter.
        session_id: Identifier of the session.
        deadline: When the last call must have ended.
        lifetime: When the service ends the session, if known.
    """

    clients: Clients
    interpreter_id: str
    session_id: str
    deadline: Deadline
    lifetime: Deadline | None

    def invoke_once(
        self,
        tool: str,
        action: str,
        arguments: dict[str, Any],
        seconds: float,
        on_rejected: Callable[[], None],
        while_sent: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> ToolResult:
        """Sends a caller's code. Only throttled calls are repeated, because they were not accepted."""
        sent_at = 0.0

        def send() -> ToolResult:
            nonlocal sent_at
            sent_at = time.monotonic()
            with while_sent():
                return self._send(tool, arguments, seconds, shorten=True)

        try:
            self._require_session(action)
            return self._retry(action, send)
        except AWS_ERRORS as error:
            contract_error = from_service(action, error)
            if not was_accepted(error) or (session_had_ended(error) and self._ended_before(sent_at)):
                on_rejected()
                if isinstance(contract_error, SessionLost):
                    raise SessionLost(f"{contract_error}; it has not run") from error
            elif not isinstance(contract_error, DeadlineExceeded):
                raise SessionLost(f"{contract_error}; it may have run") from error
            raise contract_error from error
        except RunError:  # not sent: no time was left, or the request is too large
            on_rejected()
            raise

    def _require_session(self, action: str) -> None:
        """Raises SessionLost if the session has ended with its lifetime, before the code is sent.

        After the code is sent, the same error of the service does not show whether the code ran.
        """
        if self.lifetime is None or self.lifetime.seconds_left > 0:
            return
        try:
            self.invoke_successful("listFiles", {"directoryPath": ""})
        except SessionLost as lost:
            raise SessionLost(f"{action}: {lost}; it has not run") from lost

    def _ended_before(self, sent_at: float) -> bool:
        """Returns whether the session certainly ended before a call to which the service responded that it has ended.

        The service returns the same error if the session ended before the call and if its lifetime ended during the
        call. So the error is conclusive only if the lifetime cannot have ended during the call. A session that is
        stopped during the call causes another error.

        Args:
            sent_at: When the call was sent, on the monotonic clock.
        """
        if self.lifetime is None:
            return False
        lifetime_lasts = self.lifetime.earlier(CLOCK_SKEW_SECONDS).seconds_left > 0
        return lifetime_lasts or sent_at > self.lifetime.at + START_LATENCY_SECONDS

    def invoke_successful(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Calls a tool; raises InvalidRequest with the service's message when the tool returns an error."""
        result = self.invoke_repeatable(tool, arguments)
        if result.is_error:
            raise InvalidRequest(f"{tool} in session {self.session_id}: {result.text or 'the service rejected it'}")
        return result

    def invoke_repeatable(
        self, tool: str, arguments: dict[str, Any], seconds: float = TOOL_TIMEOUT_SECONDS, *, shorten: bool = False
    ) -> ToolResult:
        """Calls a tool that is safe to repeat, and repeats it when throttled and after a service fault."""
        action = f"{tool} in session {self.session_id}"

        def send() -> ToolResult:
            try:
                return self._send(tool, arguments, seconds, shorten=shorten)
            except AWS_ERRORS as error:
                raise from_service(action, error) from error

        return self._retry(action, send)

    def _retry(self, action: str, send: Callable[[], ToolResult]) -> ToolResult:
        """Sends a call and repeats it after retryable errors, while time remains."""
        self.deadline.require(MIN_REMAINING_SECONDS, action)

        def is_retryable(error: Exception, delay: float) -> bool:
            return _is_retryable(error) and self.deadline.seconds_left >= delay + MIN_REMAINING_SECONDS

        delays = (random.uniform(0.5, 1.5) * delay for delay in RETRY_DELAYS_SECONDS)  # noqa: S311 - jitter, no secret
        return with_retries(send, delays, is_retryable)

    def _send(self, tool: str, arguments: dict[str, Any], seconds: float, *, shorten: bool) -> ToolResult:
        """Sends one InvokeCodeInterpreter request once.

        Args:
            tool: Name of the tool.
            arguments: Its arguments.
            seconds: How long to wait for the response.
            shorten: Whether long texts of a response over the limit of one event are shortened.

        Raises:
            PayloadTooLarge: The request is too large. Nothing was sent.
            Exception: One of AWS_ERRORS.
        """
        if (size := _payload_bytes(arguments)) > MAX_REQUEST_BYTES:
            raise PayloadTooLarge(
                f"{tool} in session {self.session_id}: {size:,} bytes; allowed: {MAX_REQUEST_BYTES:,} in one call; "
                "send fewer files at a time, or let the code read them from S3"
            )
        client = self.clients.invoke(min(seconds, self.deadline.seconds_left))
        response = client.invoke_code_interpreter(
            codeInterpreterIdentifier=self.interpreter_id,
            sessionId=self.session_id,
            name=cast("Any", tool),
            arguments=cast("Any", arguments),
        )
        events = read_events(response["stream"], shorten=shorten)
        return ToolResult.from_events(event["result"] for event in events if "result" in event)


def _payload_bytes(value: object) -> int:
    """Returns the total size of the arguments in bytes, before JSON and base64 encoding."""
    if isinstance(value, Mapping):
        return sum(map(_payload_bytes, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list):
        return sum(map(_payload_bytes, cast("list[object]", value)))
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0


def _is_retryable(error: Exception) -> bool:
    """Returns whether a call may be repeated.

    A contract error comes from `invoke_repeatable`, whose calls can be repeated after a throttle or a service fault.
    Any other error comes from a call that must not run twice, which can be repeated only after a throttle.
    """
    if isinstance(error, RunError):
        return isinstance(error, Throttled | ServiceFault)
    return not was_accepted(error) and isinstance(from_service("", error), Throttled)
