"""What a session runs: code in its interpreter, or a command in a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper_contract.files import InputFile
from sandpiper_contract.requests import RUNTIMES

if TYPE_CHECKING:
    from sandpiper_contract.requests import Language, Runtime


@dataclass(frozen=True)
class Code:
    """A program for executeCode."""

    text: str
    language: Language = "python"
    runtime: Runtime | None = None
    clear_context: bool = False

    def asked(self) -> dict[str, Any]:
        """As the contract's requests name it."""
        return {"code": self.text, "language": self.language, "runtime": self.runtime}


@dataclass(frozen=True)
class Command:
    """A line for /bin/sh."""

    text: str

    def asked(self) -> dict[str, Any]:
        """As the contract's requests name it."""
        return {"command": self.text}


_STARTS: dict[tuple[Language, Runtime], tuple[str, tuple[str, ...]]] = {
    ("python", "python"): ("py", ("python3", "-u")),
    ("javascript", "deno"): ("mjs", ("deno", "run", "--allow-all")),
    ("javascript", "nodejs"): ("cjs", ("node",)),
    ("typescript", "deno"): ("ts", ("deno", "run", "--allow-all")),
    ("typescript", "nodejs"): ("mts", ("node", "--experimental-strip-types")),
}
"""A file's suffix and the command that runs it, for each way of running a language."""


def as_file(program: Code | Command) -> tuple[Command, list[InputFile]]:
    """The program as a command, with the file that the command runs, since only commands may pass 15 minutes."""
    if isinstance(program, Command):
        return program, []
    suffix, start = _STARTS[program.language, program.runtime or RUNTIMES[program.language][0]]
    path = f"sandpiper-program.{suffix}"
    return Command(shlex.join([*start, path])), [InputFile(path, text=program.text.encode())]
