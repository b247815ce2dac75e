"""Clients that pace the calls to a session and count what a batch uses.

The quota of InvokeCodeInterpreter, 30 calls per second, is shared by all sessions of an account. No component sees all
calls. So the time between two calls to a session is at least the number of concurrent sessions divided by the calls per
second that batches may use: then all sessions together stay below that rate, without any coordination. A session
whose program runs longer than this does not wait.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

    from code_runner.agentcore.boto_clients import Clients


class MeteredClients:
    """Clients of one invocation.

    Args:
        clients: The clients that send the calls.
        seconds_between_calls: The least time between two calls to a session.
    """

    def __init__(self, clients: Clients, seconds_between_calls: float = 0.0) -> None:
        self._clients = clients
        self._seconds = seconds_between_calls
        # On average, the first call waits one interval, like the others. The first calls of sessions that start at the
        # same time are distributed.
        self._next_at = time.monotonic() + random.uniform(0, 2 * seconds_between_calls)  # noqa: S311 - no secret
        self._calls = 0
        self._work: list[float] = []
        self._began = self._sent_at = time.monotonic()

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        """Returns the client that starts and stops sessions."""
        self._calls += 1
        return self._clients.sessions

    @property
    def s3(self) -> S3Client:
        """Returns the client that reads inputs and writes outputs."""
        return self._clients.s3

    def invoke(self, timeout_seconds: float) -> BedrockAgentCoreClient:
        """Waits until the next call may be sent, and returns the client that sends it."""
        now = time.monotonic()
        self._work.append(round(now - self._sent_at, 3))
        time.sleep(max(self._next_at - now, 0))
        self._sent_at = time.monotonic()
        self._next_at = self._sent_at + self._seconds
        self._calls += 1
        return self._clients.invoke(timeout_seconds)

    def take_usage(self) -> dict[str, Any]:
        """Returns what was used since the last time, and begins to count again.

        Returns:
            `calls`; `seconds`; and `workSeconds`, the seconds before the first call was ready to be sent, and from each
            call until the next was ready or the end. The rest of the time, calls waited for their pace.
        """
        now = time.monotonic()
        work = [*self._work, round(now - self._sent_at, 3)]
        usage = {"calls": self._calls, "seconds": round(now - self._began, 3), "workSeconds": work}
        self._calls, self._work = 0, []
        self._began = self._sent_at = now
        return usage
