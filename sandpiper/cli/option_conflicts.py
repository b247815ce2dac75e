"""Errors for options that cannot be used together. Each names the option and those that are allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import typer


def require_one_source(sources: Mapping[str, str | None]) -> None:
    """Raises CliError unless exactly one of the sources of a run has a value.

    Args:
        sources: The value of each source by its flag, None if it is not on the command line.
    """
    given = [name for name, value in sources.items() if value is not None]
    if len(given) != 1:
        raise CliError(
            f"{' and '.join(given)} exclude each other; allowed: one of them"
            if given
            else "FILE is missing; allowed: a program's file, - for standard input, s3://BUCKET/KEY, --command CMD, "
            "--session FILE or --show ARN"
        )


def require_options(context: typer.Context, allowed: Collection[str], reason: str) -> None:
    """Raises CliError if the command line has an option or argument whose name is not in `allowed`."""
    others = [flag for name, flag in _given(context) if name not in allowed]
    if others:
        flags = ", ".join(parameter.opts[0] for parameter in context.command.params if parameter.name in allowed)
        raise CliError(f"{others[0]} cannot be used here: {reason}; allowed: {flags}")


def require_no_options(context: typer.Context, names: Collection[str], allowed: str) -> None:
    """Raises CliError if the command line has an option of a batch whose name is in `names`."""
    given = [flag for name, flag in _given(context) if name in names]
    if given:
        raise CliError(f"{given[0]} is an option of a batch; {allowed}")


def _given(context: typer.Context) -> list[tuple[str, str]]:
    """Returns the name and the flag of each option on the command line, in their order in the help."""
    given: list[tuple[str, str]] = []
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name and source is not None and source.name == "COMMANDLINE":
            given.append((parameter.name, parameter.opts[0]))
    return given
