"""Reads `environments/NAME.yaml` into an `Environment` and reports every issue of the file in one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from sandpiper.environment.checks import check
from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment, KeyPath, format_value
from sandpiper.environment.model import Environment
from sandpiper.environment.partial import without_invalid_values
from sandpiper.environment.validation import MAX_ISSUES, issues_from, relevant_errors
from sandpiper.environment.yaml_document import DocumentType, parse_text, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.environment.source_positions import SourcePositions


def load(path: Path | str) -> Environment:
    """Reads an environment file.

    Args:
        path: The YAML file. Its name without `.yaml` must be the environment's name.

    Returns:
        The validated environment. It is immutable. A permission that has expired is no issue of the file:
        `find_warnings` names it, and the stack that it belongs to cannot be deployed.

    Raises:
        InvalidEnvironment: The file is missing, is not YAML or is not a valid environment. No other exception is
            raised. Its `issues` hold every problem of the file with line, key path, allowed values and remedy.

    Example:
        >>> from sandpiper.environment import load
        >>> environment = load("environments/dev.yaml")
        >>> environment.name
        'dev'
        >>> list(environment.all_tenants)
        ['claims', 'analytics']
    """
    file = Path(path)
    return from_text(read_text(file, _ENVIRONMENT_FILE), file)


def from_text(text: str, file: Path) -> Environment:
    """Reads an environment from a text.

    Args:
        text: The YAML text.
        file: The name that issues are reported for. The file does not have to exist.

    Raises:
        InvalidEnvironment: The text is not a valid environment.
    """
    document, positions = parse_text(file, text, _ENVIRONMENT_FILE)
    issues: list[ConfigIssue] = []
    omitted = 0
    environment, removed = None, set[KeyPath]()
    try:
        environment = Environment.model_validate(document)
    except ValidationError as error:
        details = relevant_errors(error)
        issues = issues_from(document, details[:MAX_ISSUES])
        omitted = max(0, len(details) - MAX_ISSUES)
        if not omitted:  # otherwise the file is too broken for the checks between its options
            environment, removed = without_invalid_values(document)
    if environment is not None:
        invalid = removed | {issue.key_path for issue in issues}
        cross_option_issues = [*_name_issues(environment, file), *check(environment)]
        issues += [issue for issue in cross_option_issues if not _depends_on_any(issue, invalid)]
    issues += _duplicate_key_issues(positions)
    omitted += max(0, len(positions.duplicate_keys) - MAX_ISSUES)
    if issues or environment is None:
        raise InvalidEnvironment(*locate_issues(file, positions, issues), omitted=omitted)
    return environment


def locate_issues(file: Path, positions: SourcePositions, issues: Sequence[ConfigIssue]) -> list[ConfigIssue]:
    """Returns issues with their file and line, in the order of the file.

    Unknown keys come first, because a misspelt key is often why a required one is missing.
    """
    located = [replace(issue, file=file, line=issue.line or _line_of(positions, issue)) for issue in issues]
    return sorted(located, key=lambda issue: (not issue.is_unknown_key, issue.line or 0))


def _line_of(positions: SourcePositions, issue: ConfigIssue) -> int | None:
    return next(filter(None, map(positions.line_of, (issue.key_path, *issue.depends_on))), None)


def _name_issues(environment: Environment, file: Path) -> list[ConfigIssue]:
    # Otherwise a copied file that was not edited would deploy over the environment that it was copied from.
    if environment.name == file.stem:
        return []
    return [
        ConfigIssue(
            key_path=("name",),
            problem=f"is {format_value(environment.name)}",
            allowed=f"{format_value(file.stem)}, the name of the file",
            remedy="rename the file or the environment",
        )
    ]


def _depends_on_any(issue: ConfigIssue, invalid: set[KeyPath]) -> bool:
    """Returns whether an issue only follows from options that are invalid themselves."""
    return any(path[: len(parent)] == parent for path in (issue.key_path, *issue.depends_on) for parent in invalid)


def _duplicate_key_issues(positions: SourcePositions) -> list[ConfigIssue]:
    return [
        ConfigIssue(
            key_path=key_path,
            line=line,
            problem=f"duplicates line {first_line}",
            allowed="each key once",
            remedy="remove one of the two",
        )
        for key_path, first_line, line in positions.duplicate_keys[:MAX_ISSUES]
    ]


_ENVIRONMENT_FILE = DocumentType(
    "a mapping of " + ", ".join(Environment.model_fields), "write one with `sandpiper init`"
)
