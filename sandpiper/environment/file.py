"""Reads `environments/NAME.yaml` into an `Environment`, or says in one sentence why it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from sandpiper.environment.errors import InvalidEnvironment, from_validation, shown
from sandpiper.environment.model import Environment

if TYPE_CHECKING:
    import datetime

    from ruamel.yaml.error import StringMark


def load(path: Path | str, *, today: datetime.date | None = None) -> Environment:
    """Reads an environment file. `today`, by default the day in UTC, decides which interpreters' access has expired.

    Raises InvalidEnvironment, and nothing else, for a file that is missing, is not YAML or is not an environment.
    """
    file = Path(path)
    document = _parsed(file, _text(file))
    try:
        environment = Environment.model_validate(document, context={"today": today} if today else None)
    except ValidationError as error:
        raise from_validation(file, error) from None
    if environment.name != file.stem:
        # A file copied and not edited would otherwise deploy over the environment that it was copied from.
        raise InvalidEnvironment(
            file=file,
            at="name",
            problem=f"is {shown(environment.name)}",
            allowed=f"{shown(file.stem)}, as the file is called",
            value=environment.name,
        )
    return environment


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(each.name for each in file.parent.glob("*.yaml"))
        allowed = "one of " + ", ".join(names) if names else "a YAML file"
        raise InvalidEnvironment(file=file, at="the file", problem="does not exist", allowed=allowed) from None
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
        raise InvalidEnvironment(file=file, at="the file", problem=problem, allowed="UTF-8 text") from None
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        raise InvalidEnvironment(file=file, at="the file", problem=problem, allowed="a YAML file") from None
    if not text.strip():
        raise InvalidEnvironment(file=file, at="the file", problem="is empty", allowed=_TOP_LEVEL)
    return text


def _parsed(file: Path, text: str) -> object:
    # Pure Python: the C parser reads YAML 1.1, in which `on` is true and 012 is ten.
    parser = YAML(typ="safe", pure=True)
    try:
        return cast("object", parser.load(text))  # pyright: ignore[reportUnknownMemberType]
    except DuplicateKeyError as error:
        at, problem = _told(error)
        key = problem.split('"')[1]
        raise InvalidEnvironment(
            file=file, at=at, problem=f"has the key {shown(key)} again", allowed="each key once", value=key
        ) from None
    except MarkedYAMLError as error:
        at, problem = _told(error)
        raise InvalidEnvironment(file=file, at=at, problem=f"is not YAML ({problem})", allowed="YAML 1.2") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = f"is not YAML ({' '.join(str(error).split())})"
        raise InvalidEnvironment(file=file, at="the file", problem=problem, allowed="YAML 1.2") from None


def _told(error: Any) -> tuple[str, str]:
    """Where the parser stopped, counted from 1, and why. The library leaves the members of MarkedYAMLError untyped."""
    mark: StringMark | None = error.problem_mark or error.context_mark
    problem: str = error.problem or error.context
    return ("the file" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"), problem


_TOP_LEVEL = "a mapping of " + ", ".join(Environment.model_fields)
