"""A session whose code attacks the sandbox."""

from __future__ import annotations

from typing import Any

from tests.support.agentcore_sessions import Session


class Attacker(Session):
    """A session whose code is hostile."""

    def shell(self, command: str) -> dict[str, Any]:
        """Runs a command. Returns its output as stdout if it succeeded, otherwise as stderr, and the exit code."""
        return self.invoke("executeCommand", command=command)["structuredContent"]

    def deno(self, code: str) -> dict[str, Any]:
        """Runs JavaScript on Deno. Returns stdout, stderr and exit code."""
        return self.invoke("executeCode", language="javascript", runtime="deno", code=code)["structuredContent"]

    def is_responsive(self) -> bool:
        """Returns whether the session still runs Python and commands."""
        python = self.python("print('alive')")["stdout"] == "alive"
        return python and self.shell("echo alive")["stdout"] == "alive\r\n"
