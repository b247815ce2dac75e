"""The programs that a session runs: code in its interpreter, or a command in a shell."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.field_types import Boolean
from sandpiper_contract.files import InputFile
from sandpiper_contract.program_source import encode_program, without_mark
from sandpiper_contract.requests import RUNTIMES, RunCommand, StartCommand

if TYPE_CHECKING:
    from sandpiper_contract.requests import Language, Runtime


@dataclass(frozen=True)
class Code:
    """A program for executeCode, for example `Code("console.log(1)", "javascript", "nodejs")`.

    Args:
        text: The source code. A byte order mark at its start is removed.
        language: `python`, `javascript` or `typescript`.
        runtime: `python`, `deno` or `nodejs`; None for the language's default.
        clear_context: Whether variables of earlier programs are deleted first.

    Raises:
        InvalidRequest: A value is not allowed by the contract.
    """

    text: str
    language: Language = "python"
    runtime: Runtime | None = None
    clear_context: bool = False

    def __post_init__(self) -> None:
        """Validates the values, so that later steps need not validate them."""
        StartCommand(code=self.text, language=self.language, runtime=self.runtime)
        Boolean().validate("clearContext", self.clear_context)
        object.__setattr__(self, "text", without_mark(self.text))


@dataclass(frozen=True)
class Command:
    """A command line for /bin/sh, for example `Command("ls -l")`.

    Raises:
        InvalidRequest: The text is not a string or is blank.
    """

    text: str

    def __post_init__(self) -> None:
        """Validates the text, so that later steps need not validate it."""
        RunCommand(command=self.text)


_PLAIN = ("env", "NO_COLOR=1")
"""Started commands write to a terminal, on which Node and Deno color the values that `console.log` shows."""
_LAUNCHERS: dict[tuple[Language, Runtime], tuple[str, tuple[str, ...]]] = {
    ("python", "python"): ("py", ("python3", "-u")),
    ("javascript", "deno"): ("mjs", (*_PLAIN, "deno", "run", "--quiet", "--allow-all")),
    ("javascript", "nodejs"): ("cjs", (*_PLAIN, "node")),
    ("typescript", "deno"): ("ts", (*_PLAIN, "deno", "run", "--quiet", "--allow-all")),
    ("typescript", "nodejs"): ("mts", (*_PLAIN, "node", "--experimental-strip-types")),
}
"""The file suffix and the command for each language and runtime."""


def as_command(program: Code | Command) -> tuple[Command, list[InputFile]]:
    """Returns the command that runs the program, and the files that the command needs.

    Code becomes a file, because only commands may run for more than 15 minutes.
    """
    if isinstance(program, Command):
        return program, []
    suffix, launcher = _LAUNCHERS[program.language, program.runtime or RUNTIMES[program.language][0]]
    path = f"sandpiper-program.{suffix}"
    return Command(shlex.join([*launcher, path])), [
        InputFile.from_bytes(path, encode_program(program.text, program.language))
    ]
