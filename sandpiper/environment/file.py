"""Reads `environments/NAME.yaml` into an `Environment` and reports every issue of the file in one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sandpiper.environment.checks import check
from sandpiper.environment.document_limits import MAX_FILE_BYTES, DocumentLimitError, LimitedParser
from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment, KeyPath, format_value
from sandpiper.environment.model import Environment
from sandpiper.environment.partial import without_invalid_values
from sandpiper.environment.source_positions import SourcePositions
from sandpiper.environment.validation import MAX_ISSUES, issues_from, relevant_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ruamel.yaml.error import StringMark
    from ruamel.yaml.nodes import Node, ScalarNode


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
    return from_text(_read(file), file)


def from_text(text: str, file: Path) -> Environment:
    """Reads an environment from a text.

    Args:
        text: The YAML text.
        file: The name that issues are reported for. The file does not have to exist.

    Raises:
        InvalidEnvironment: The text is not a valid environment.
    """
    document, positions = _parse(file, text)
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


def _read(file: Path) -> str:
    try:
        if file.exists() and not file.is_file() and not file.is_dir():  # reading a pipe or a device may never end
            raise _unusable(file, "is not a regular file", "a YAML file", "name a file that can be read")
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _unusable(file, "is too large", f"up to {MAX_FILE_BYTES:,} bytes", "remove what is not needed")
        return data.decode()
    except FileNotFoundError:
        names = sorted(each.name for each in file.parent.glob("*.yaml"))
        allowed = "one of " + ", ".join(names) if names else "a YAML file"
        remedy = "choose one of them, or write one with `sandpiper init`"
        raise _unusable(file, "does not exist", allowed, remedy) from None
    except UnicodeDecodeError as error:
        raise _unusable(file, f"is not UTF-8 at byte {error.start}", "UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a NUL in the path raises ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(file, f"cannot be read ({reason})", "a YAML file", "name a file that can be read") from None


class _Constructor(SafeConstructor):
    """Keeps an impossible date as text, so that the model rejects it at its key path."""

    def construct_yaml_timestamp(self, node: ScalarNode, values: object = None) -> object:
        try:
            return cast("object", super().construct_yaml_timestamp(node, values))
        except ValueError:
            return cast("str", node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def _parse(file: Path, text: str) -> tuple[object, SourcePositions]:
    """Returns the document and its line numbers. Of a duplicate key, the document has the first value."""
    # Pure Python: the C parser reads YAML 1.1, in which `on` is true and 012 is ten.
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _Constructor
    parser.Parser = LimitedParser
    try:
        root = cast("Node | None", parser.compose(text))
        if root is None:
            raise _unusable(file, "is empty", _TOP_LEVEL, "write one with `sandpiper init`")
        positions = SourcePositions(root)  # before construction, which resolves `<<` in the nodes
        constructor: Any = parser.constructor
        return cast("object", constructor.construct_document(root)), positions
    except DocumentLimitError as error:
        raise _unusable(file, error.problem, error.allowed, "remove what is not needed", error.line) from None
    except MarkedYAMLError as error:
        line, problem = _position_and_problem(error)
        raise _not_yaml(file, line, f"is not YAML ({problem})") from None
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _not_yaml(file, None, f"is not YAML ({' '.join(str(error).split())})") from None


def _unusable(file: Path, problem: str, allowed: str, remedy: str, line: int | None = None) -> InvalidEnvironment:
    key_path = () if line is None else ("this line",)
    issue = ConfigIssue(file=file, line=line, key_path=key_path, problem=problem, allowed=allowed, remedy=remedy)
    return InvalidEnvironment(issue)


def _not_yaml(file: Path, line: int | None, problem: str) -> InvalidEnvironment:
    return _unusable(file, problem, "YAML 1.2", "correct this line or the line above", line)


def _position_and_problem(error: Any) -> tuple[int | None, str]:
    """Returns the line where the parser stopped, from 1, and why. ruamel does not type MarkedYAMLError's members."""
    mark: StringMark | None = error.problem_mark or error.context_mark
    problem: str = error.problem or error.context
    return (None if mark is None else mark.line + 1), problem


_TOP_LEVEL = "a mapping of " + ", ".join(Environment.model_fields)
