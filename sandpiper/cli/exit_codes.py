"""Exit codes of commands that report changes: 0 for none, 2 for some, 1 for an error."""

from __future__ import annotations

from typing import Any

from typer import TyperException
from typer.core import TyperCommand

ERROR = 1
"""Exit code for an error of a command whose exit code 2 means that there are changes."""
CHANGES = 2


class ChangeReportCommand(TyperCommand):
    """A command that exits with 2 when there are changes, so that usage errors exit with 1 instead of Typer's 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments; a usage error gets the exit code 1."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.exit_code = ERROR
            raise
