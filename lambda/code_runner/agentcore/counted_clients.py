"""Clients that count the calls and the sessions of one invocation of the session function."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

    from code_runner.agentcore.boto_clients import Clients


class CountedClients:
    """Clients of one invocation.

    Args:
        clients: The clients that send the calls.

    Attributes:
        calls: The calls to AgentCore.
        sessions_started: The sessions that were started.
        sessions_ended: The live sessions that were stopped.
        session_seconds: How long the sessions were live that were both started and stopped here.
        interpreter_id: The interpreter whose session was started last; None without a session.

    Example:
        >>> clients = CountedClients(AwsClients())
        >>> with open_session(clients) as session:
        ...     session.run(Code("1"))
        >>> clients.sessions_started, clients.sessions_ended
        (1, 1)
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._started_at: dict[str, float] = {}
        self.calls = 0
        self.sessions_started = 0
        self.sessions_ended = 0
        self.session_seconds = 0.0
        self.interpreter_id: str | None = None

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Returns a client that starts, stops and lists sessions."""
        return cast("BedrockAgentCoreClient", _CountedSessions(self, self._clients))

    @property
    def s3(self) -> S3Client:
        """Returns the client that reads inputs and writes outputs."""
        return self._clients.s3

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """Returns the client that sends one call."""
        self.calls += 1
        return self._clients.invoke(timeout_seconds)

    def on_started(self, session_id: str) -> None:
        """Counts a started session. A repeated start with the same token returns the same session."""
        if session_id not in self._started_at:
            self._started_at[session_id] = time.monotonic()
            self.sessions_started += 1

    def on_ended(self, session_id: str) -> None:
        """Counts a session that a stop has ended."""
        self.sessions_ended += 1
        if session_id in self._started_at:
            self.session_seconds += time.monotonic() - self._started_at[session_id]


class _CountedSessions:
    """The operations on sessions that the package uses. A failed operation is counted as a call only."""

    def __init__(self, counts: CountedClients, clients: Clients) -> None:
        self._counts = counts
        self._clients = clients

    def start_code_interpreter_session(self, **arguments: Any) -> Any:
        """Starts a session."""
        self._counts.calls += 1
        response = self._clients.sessions.start_code_interpreter_session(**arguments)
        self._counts.on_started(response["sessionId"])
        self._counts.interpreter_id = arguments["codeInterpreterIdentifier"]
        return response

    def stop_code_interpreter_session(self, **arguments: Any) -> Any:
        """Stops a session. AgentCore rejects the stop of a session that has ended."""
        self._counts.calls += 1
        response = self._clients.sessions.stop_code_interpreter_session(**arguments)
        self._counts.on_ended(arguments["sessionId"])
        return response

    def list_code_interpreter_sessions(self, **arguments: Any) -> Any:
        """Lists sessions."""
        self._counts.calls += 1
        return self._clients.sessions.list_code_interpreter_sessions(**arguments)
