"""Reads `environments/NAME.yaml` into an `Environment`, or says all that is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sandpiper.environment.checks import check
from sandpiper.environment.errors import Fault, InvalidEnvironment, Place, Problem, path_of, shown
from sandpiper.environment.model import Environment
from sandpiper.environment.source_positions import Lines
from sandpiper.environment.validation import faults_of, without_faults

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

    from ruamel.yaml.error import StringMark
    from ruamel.yaml.nodes import Node, ScalarNode


def load(path: Path | str, *, today: datetime.date | None = None) -> Environment:
    """Reads an environment file. `today`, by default the day in UTC, decides what has expired.

    Raises InvalidEnvironment, and nothing else, for a file that is missing, is not YAML or is not an environment.
    """
    file = Path(path)
    return from_text(_text(file), file, today=today)


def from_text(text: str, file: Path, *, today: datetime.date | None = None) -> Environment:
    """The environment that a text is, as `load` has it of the file, which need not exist. Raises InvalidEnvironment."""
    document, lines = _parsed(file, text)
    context = {"today": today} if today else None
    faults: list[Fault] = []
    environment, lost = None, set[Place]()
    try:
        environment = Environment.model_validate(document, context=context)
    except ValidationError as error:
        faults = faults_of(document, error)
        environment, lost = without_faults(document, context)
    if environment is not None:
        faults += _still_told([*_misnamed(environment, file), *check(environment)], faults, lost)
    faults += _again(lines)
    if faults or environment is None:
        raise InvalidEnvironment(*problems_of(file, lines, faults))
    return environment


def _misnamed(environment: Environment, file: Path) -> list[Fault]:
    # A file copied and not edited would otherwise deploy over the environment that it was copied from.
    if environment.name == file.stem:
        return []
    return [
        Fault(
            place=("name",),
            problem=f"is {shown(environment.name)}",
            allowed=f"{shown(file.stem)}, as the file is called",
            remedy="rename one of them",
        )
    ]


def _still_told(more: list[Fault], faults: list[Fault], lost: set[Place]) -> list[Fault]:
    """Faults between options, without those that only follow from a fault of an option."""
    gone = lost | {fault.place for fault in faults}
    return [
        fault
        for fault in more
        if not any(place[: len(one)] == one for place in (fault.place, *fault.rests_on) for one in gone)
    ]


def _again(lines: Lines) -> list[Fault]:
    return [
        Fault(
            place=place,
            line=line,
            problem=f"is there again, after line {first}",
            allowed="each key once",
            remedy="take one of the two away",
        )
        for place, first, line in lines.again
    ]


def problems_of(file: Path, lines: Lines, faults: Sequence[Fault]) -> list[Problem]:
    """Faults with their lines, in the order of the file, but unknown keys first: they are often why a known one is
    missing.
    """
    found = [
        (
            not fault.is_unknown_key,
            Problem(
                file=file,
                line=fault.line or next(filter(None, map(lines.of, (fault.place, *fault.rests_on))), None),
                at=path_of(fault.place),
                problem=fault.problem,
                allowed=fault.allowed,
                remedy=fault.remedy,
            ),
        )
        for fault in faults
    ]
    return [problem for _, problem in sorted(found, key=lambda one: (one[0], one[1].line or 0))]


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(each.name for each in file.parent.glob("*.yaml"))
        allowed = "one of " + ", ".join(names) if names else "a YAML file"
        remedy = "choose one of them, or write one with `sandpiper init`"
        raise _unusable(file, "does not exist", allowed, remedy) from None
    except UnicodeDecodeError as error:
        raise _unusable(file, f"is not UTF-8 at byte {error.start}", "UTF-8 text", "save it as UTF-8") from None
    except (OSError, ValueError) as error:  # a NUL in the path is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise _unusable(file, f"cannot be read ({reason})", "a YAML file", "name a file that can be read") from None
    return text


class _Constructor(SafeConstructor):
    """Leaves a day that the calendar does not have as it is written, for the model to refuse at its place."""

    def construct_yaml_timestamp(self, node: ScalarNode, values: object = None) -> object:
        try:
            return cast("object", super().construct_yaml_timestamp(node, values))
        except ValueError:
            return cast("str", node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _Constructor.construct_yaml_timestamp)


def _parsed(file: Path, text: str) -> tuple[object, Lines]:
    """The document, and where what is in it lies. Of a key that is there again, the document has the first."""
    # Pure Python: the C parser reads YAML 1.1, in which `on` is true and 012 is ten.
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _Constructor
    try:
        root = cast("Node | None", parser.compose(text))
        if root is None:
            raise _unusable(file, "is empty", _TOP_LEVEL, "write one with `sandpiper init`")
        lines = Lines(root)  # before the document, which `<<` changes
        constructor: Any = parser.constructor
        return cast("object", constructor.construct_document(root)), lines
    except MarkedYAMLError as error:
        line, problem = _told(error)
        raise _not_yaml(file, line, f"is not YAML ({problem})") from None
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _not_yaml(file, None, f"is not YAML ({' '.join(str(error).split())})") from None


def _unusable(file: Path, problem: str, allowed: str, remedy: str, line: int | None = None) -> InvalidEnvironment:
    at = "the file" if line is None else "this line"
    return InvalidEnvironment(Problem(file=file, line=line, at=at, problem=problem, allowed=allowed, remedy=remedy))


def _not_yaml(file: Path, line: int | None, problem: str) -> InvalidEnvironment:
    return _unusable(file, problem, "YAML 1.2", "mend it there or just above", line)


def _told(error: Any) -> tuple[int | None, str]:
    """The line where the parser stopped, from 1, and why. The library leaves MarkedYAMLError's members untyped."""
    mark: StringMark | None = error.problem_mark or error.context_mark
    problem: str = error.problem or error.context
    return (None if mark is None else mark.line + 1), problem


_TOP_LEVEL = "a mapping of " + ", ".join(Environment.model_fields)
