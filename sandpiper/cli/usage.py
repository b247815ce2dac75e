"""Commands whose exit code 2 means something: what was typed wrongly ends them with 1, and not with Typer's 2."""

from __future__ import annotations

from typing import Any

from typer import TyperException
from typer.core import TyperCommand

ERROR = 1
"""Exit code of a command that could not do what was asked, where 2 says that there is something to do."""


class TwoMeansChanges(TyperCommand):
    """A command that ends with 0 when there is nothing to do, with 2 when there is, and with 1 for an error."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does, but for the exit code."""
        try:
            return super().parse_args(ctx, args)
        except TyperException as error:
            error.exit_code = ERROR
            raise
