"""The error that reading a template raises."""

from __future__ import annotations

from sandpiper.errors import CliError


class TemplateError(CliError):
    """A file cannot be reviewed.

    Attributes:
        file: The file as the user named it.
        line: The line, from 1; None for the file as a whole.
        problem: What is wrong.
        remedy: What is allowed, and what to do.
    """

    def __init__(self, file: str, problem: str, remedy: str, line: int | None = None) -> None:
        super().__init__(f"{file}{'' if line is None else f':{line}'}: {problem}; {remedy}")
        self.file, self.line, self.problem, self.remedy = file, line, problem, remedy
