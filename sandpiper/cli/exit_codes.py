"""Exit codes of the commands.

| Command | 0 | 1 | 2 |
|---|---|---|---|
| `run`, `runs show --follow` | the program's exit code | the program's exit code | no result, or a file was not saved |
| `run --batch` | no item failed, or it is tolerated | an item failed | the batch failed, or a file was not saved |
| `plan`, `status` | no changes | an error | changes |
| `review` | no finding as severe as `--fail-on`, every grant in `--baseline` | an error | findings or new grants |
| other commands | done | | an error |

`run` and `runs show --follow` can also exit with another exit code of the program, such as 124 if it timed out. A
command that a signal ended exits with 128 plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
"""

from __future__ import annotations

from typing import Any

from typer import TyperException
from typer.core import TyperCommand

FAILED = 2
"""Exit code of a command that failed. 1 is the exit code of a program that failed in the sandbox."""
SIGNAL_EXIT_CODE = 128
"""Exit code of a command that a signal ended, plus the number of the signal."""
ERROR = 1
"""Exit code for an error of a command whose exit code 2 means that there are changes."""
CHANGES = 2
FINDINGS = 2
"""Exit code of a review with open findings that are as severe as `--fail-on`, or grants that are not approved."""


class ChangeReportCommand(TyperCommand):
    """A command that exits with 2 when there are changes or findings, so that its usage errors exit with 1."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments; a usage error gets the exit code 1."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.exit_code = ERROR
            raise
