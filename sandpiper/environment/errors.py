"""What is wrong with an environment file, in one sentence: the file, the place in it, the value, and what is allowed.

The sentences come from the model itself: the description of an option is what a message says is allowed.
"""

from __future__ import annotations

import datetime
import types
from typing import TYPE_CHECKING, Annotated, Union, cast, get_args, get_origin

from pydantic import BaseModel

from sandpiper.environment.interpreter import NETWORKS
from sandpiper.environment.model import Environment
from sandpiper_contract.kinds import cut

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails


class InvalidEnvironment(Exception):  # noqa: N818 - a name of the field, as the run errors of the contract are
    """An environment file that cannot be used. Its text is one line that says where, what, and what is allowed."""

    def __init__(self, *, file: Path, at: str, problem: str, allowed: str, value: object = None) -> None:
        """`at` is a path in the file, such as `tenants.demo.interpreters.web.owner`, or a line and column."""
        super().__init__(f"{file}: {at} {problem}; allowed: {allowed}")
        self.file = file
        self.at = at
        self.problem = problem
        self.allowed = allowed
        self.value = value


def shown(value: object) -> str:
    """The value as a message repeats it: on one line, cut when it is long."""
    return cut(str(value) if isinstance(value, datetime.date) else repr(value))


def from_validation(file: Path, error: ValidationError) -> InvalidEnvironment:
    """The first thing that is wrong; an unknown key first, since it is often why a known one is missing."""
    found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")[0]
    value, location = _value_and_location(found)
    place = _Place(location)
    problem = _PROBLEMS.get(found["type"], f"is {shown(value)}")
    return InvalidEnvironment(
        file=file, at=place.path or "the file", problem=problem, allowed=place.allowed(found["type"]), value=value
    )


_PROBLEMS = {"missing": "is missing", "extra_forbidden": "is not an option"}
_MAPPING_EXPECTED = ("model_type", "dict_type")


def _value_and_location(found: ErrorDetails) -> tuple[object, tuple[int | str, ...]]:
    """The refused value and where it is. An unknown network is told of the interpreter; it is the network's error."""
    if found["type"] == "union_tag_invalid":
        return cast("Mapping[str, object]", found["input"])["network"], (*found["loc"], "network")
    return found["input"], found["loc"]


class _Place:
    """A place in the file and the type that the model has for it."""

    def __init__(self, location: tuple[int | str, ...]) -> None:
        self._steps: list[str] = []
        self._parent: type[BaseModel] = Environment
        self._type: object = Environment
        self._description = ""
        for part in map(str, location):
            self._step(part)

    @property
    def path(self) -> str:
        return ".".join(self._steps)

    def allowed(self, error_type: str) -> str:
        if error_type == "extra_forbidden":
            return ", ".join(self._parent.model_fields)
        if error_type in _MAPPING_EXPECTED and isinstance(self._type, type) and issubclass(self._type, BaseModel):
            return "a mapping of " + ", ".join(self._type.model_fields)
        return self._description

    def _step(self, part: str) -> None:
        kind = self._type
        if part == "[key]":
            self._description = _description_of(self._key_type)
        elif get_origin(kind) is dict:
            self._key_type, self._type = get_args(kind)
            self._type = _without_annotation(self._type)
            self._steps.append(part)
        elif get_origin(kind) in (Union, types.UnionType):
            self._into_member(kind, part)
        else:
            self._into_option(cast("type[BaseModel]", kind), part)

    def _into_option(self, model: type[BaseModel], name: str) -> None:
        self._parent = model
        self._steps.append(name)
        option = model.model_fields.get(name)
        if option is not None:
            self._type = _without_annotation(option.annotation)
            self._description = option.description or ""

    def _into_member(self, union: object, part: str) -> None:
        """Into the kind of interpreter that the tag names, or to the `network` that names no kind."""
        kinds = {tag.tag: kind for kind, tag in map(get_args, get_args(union))}
        if part in kinds:
            self._type = kinds[part]
        else:
            self._steps.append(part)
            self._description = NETWORKS


def _without_annotation(kind: object) -> object:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _description_of(key_type: object) -> str:
    options = [cast("FieldInfo", one) for one in get_args(key_type)[1:] if hasattr(one, "description")]
    return options[0].description or ""
