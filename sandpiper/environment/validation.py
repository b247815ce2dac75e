"""Turns pydantic's validation errors into issues, and removes invalid values from a document.

The allowed values in a message are the description of the option in the model. The document without its invalid values
lets the checks between options run in the same pass.
"""

from __future__ import annotations

import copy
import difflib
import types
from collections.abc import Sized
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Union, cast, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo

from sandpiper.environment.errors import ConfigIssue, KeyPath, format_value
from sandpiper.environment.interpreter import INTERPRETER_TYPES, NETWORKS, BaseInterpreter
from sandpiper.environment.model import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    Context = Mapping[str, Any]

UNKNOWN_KEY = ("extra_forbidden", "invalid_key")
UNKNOWN_NETWORK = "union_tag_invalid"
_OF_SOME_NETWORK = {name for kind in INTERPRETER_TYPES.values() for name in kind.model_fields}
MAX_ROUNDS = 100
"""Each round takes something away. This many bound what a file can cost that was made to be odd."""


def issues_from(document: object, error: ValidationError) -> list[ConfigIssue]:
    """Every issue of the options themselves, one a key_path."""
    found: dict[KeyPath, ConfigIssue] = {}
    errors = _errors_of(error)
    for one in (*errors, *(each for wrong in errors if wrong["type"] == UNKNOWN_NETWORK for each in _behind(wrong))):
        option = _Option.at(document, one)
        found.setdefault(option.key_path, option.issue(one))
    return list(found.values())


def _errors_of(error: ValidationError) -> list[ErrorDetails]:
    """Without the length of a list that pydantic finds too short because it does not count items that are wrong."""
    return [
        one
        for one in error.errors(include_url=False)
        if one["type"] != "too_short" or len(one["input"]) < one.get("ctx", {})["min_length"]
    ]


def _behind(error: ErrorDetails) -> Iterator[ErrorDetails]:
    """What is wrong with an interpreter beside its network, which pydantic looks at only once it knows the network."""
    given = {
        str(key): value for key, value in cast("Mapping[object, object]", error["input"]).items() if key != "network"
    }
    # Whichever network is meant, it is one that most of the options are of.
    tag, kind = max(INTERPRETER_TYPES.items(), key=lambda one: len(given.keys() & one[1].model_fields.keys()))
    try:
        kind.model_validate({**given, "network": tag})
    except ValidationError as beside:
        for one in _errors_of(beside):
            is_of_another = one["type"] == "extra_forbidden" and one["loc"][0] in _OF_SOME_NETWORK
            if one["type"] != "missing" and not is_of_another:
                yield {**one, "loc": (*error["loc"], tag, *one["loc"])}


def without_invalid_values(document: object, context: Context | None) -> tuple[Environment | None, set[KeyPath]]:
    """The environment that is left without what is wrong in the file, and the places that were left out for it.

    What is required has an example in its key_path. None where nothing is left.
    """
    rest, lost = copy.deepcopy(document), set[KeyPath]()
    for _ in range(MAX_ROUNDS):
        try:
            return Environment.model_validate(rest, context=context), lost
        except ValidationError as error:
            for one in _errors_of(error):
                lost.add(_mend(rest, _Option.at(rest, one)))
        if () in lost:
            break
    return None, lost


def _mend(document: object, option: _Option) -> KeyPath:
    """Takes a issue out of the document, in key_path, and returns where. () when it is the document itself."""
    key_path, example = option.key_path, option.example
    while key_path:
        holder = _value_at(document, key_path[:-1])
        if (
            isinstance(holder, list)
            and isinstance(key_path[-1], int)
            and key_path == option.key_path
            and example is not None
        ):
            cast("list[object]", holder)[key_path[-1]] = example
            return key_path
        if isinstance(holder, dict):
            mapping = cast("dict[object, object]", holder)
            if example is None and option.is_required and key_path == option.key_path:
                key_path = key_path[:-1]
                continue
            if example is None:
                _remove(mapping, key_path[-1])
            else:
                mapping[key_path[-1]] = example
            return key_path
        # An item of a list without an example: without it, the others would be told at wrong places.
        key_path = key_path[:-1]
    return ()


def _remove(mapping: dict[object, object], step: object) -> None:
    for key in [key for key in mapping if str(key) == str(step)]:
        del mapping[key]


def _value_at(document: object, key_path: KeyPath) -> object:
    """What is at a key_path; None where nothing is."""
    for step in key_path:
        document = _inside(document, step)
    return document


def _inside(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return next((inside for key, inside in mapping.items() if str(key) == str(step)), None)
    if isinstance(value, list) and isinstance(step, int):
        items = cast("list[object]", value)
        return items[step] if step < len(items) else None
    return None


@dataclass
class _Option:
    """A key_path in the file, and what the model has for it. Made by going into the model along pydantic's location."""

    kind: object = Environment
    model: type[BaseModel] = Environment
    field: FieldInfo | None = None
    allowed: str = ""
    key_path: KeyPath = ()
    is_key: bool = False
    key_allowed: str = ""

    @classmethod
    def at(cls, document: object, error: ErrorDetails) -> _Option:
        option = cls()
        for part in error["loc"]:
            option._step(part)
        if error["type"] == UNKNOWN_NETWORK:  # told of the interpreter; it is the network's issue
            option._step("network")
        # `s3://…` is short for a mapping: the key_path ends where the file has no more.
        depth = next(
            (n for n in range(len(option.key_path)) if not _is_deep(_value_at(document, option.key_path[:n]))), None
        )
        option.key_path = option.key_path[:depth]
        return option

    @property
    def is_required(self) -> bool:
        return self.field is not None and self.field.is_required() and not self.is_key

    @property
    def example(self) -> object:
        return self.field.examples[0] if self.field and self.field.examples and self.is_required else None

    def issue(self, error: ErrorDetails) -> ConfigIssue:
        kind, value = error["type"], error["input"]
        if kind == UNKNOWN_NETWORK:
            value = cast("Mapping[str, object]", value)["network"]
        if kind in UNKNOWN_KEY:
            allowed = ", ".join(self.model.model_fields)
            remedy = _remedy_of_unknown_key(str(error["loc"][-1]), self.model)
            return ConfigIssue(
                key_path=self.key_path, problem="is not an option", allowed=allowed, remedy=remedy, is_unknown_key=True
            )
        if kind == "missing":
            return ConfigIssue(key_path=self.key_path, problem="is missing", allowed=self.allowed, remedy="add it")
        model = _bare(self.kind)
        if kind == "model_type" and isinstance(model, type) and issubclass(model, BaseModel):
            self.allowed = "a mapping of " + ", ".join(model.model_fields)
        return ConfigIssue(
            key_path=self.key_path,
            problem=_problem(error, value),
            allowed=self.allowed,
            remedy=self._remedy(error, value),
        )

    def _remedy(self, error: ErrorDetails, value: object) -> str:
        """What the model's own check says, or what such a value mostly is, or what always helps."""
        if said := str(error.get("ctx", {}).get("error", "")):
            return said
        if self.is_key:
            return "rename it"
        if error["type"] == UNKNOWN_NETWORK and (
            near := difflib.get_close_matches(str(value).upper(), INTERPRETER_TYPES, n=1)
        ):
            return f"write {near[0]}"
        for kind, is_such, remedy in _REMEDIES:
            if kind == error["type"] and is_such(value):
                return remedy
        is_optional = self.field is not None and not self.field.is_required()
        mend = "fill it in" if value is None else "change it"
        return f"{mend}, or take it out for the default" if is_optional else mend

    def _step(self, part: str | int) -> None:
        kind = _bare(self.kind)
        arguments = get_args(kind)
        if part == "[key]":
            self.is_key, self.allowed = True, self.key_allowed
        elif get_origin(kind) is dict:
            self.key_allowed = (_said_of(arguments[0]) or FieldInfo()).description or ""
            self._into_item(arguments[1], str(part))
        elif get_origin(kind) is tuple:
            self._into_item(arguments[0], part)
        elif get_origin(kind) in (Union, types.UnionType):
            self._into_member(arguments, str(part))
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            self._into_model(kind, str(part))

    def _into_model(self, model: type[BaseModel], name: str) -> None:
        self.model, self.field = model, model.model_fields.get(name)
        self.key_path = (*self.key_path, name)
        if self.field is not None:
            self.kind, self.allowed = self.field.annotation, self.field.description or ""

    def _into_item(self, kind: object, part: str | int) -> None:
        self.key_path = (*self.key_path, part)
        self.kind, self.field = kind, _said_of(kind)
        if self.field is not None:
            self.allowed = self.field.description or ""

    def _into_member(self, members: tuple[object, ...], part: str) -> None:
        """Into the kind of interpreter that the tag names, or to the `network` that names none.

        A union of plain values has nothing inside: its part is a name that pydantic has for one of them.
        """
        kinds = {one.tag: kind for kind, *rest in map(get_args, members) for one in rest if isinstance(one, Tag)}
        if part in kinds:
            self.kind = kinds[part]
        elif kinds:
            self.key_path = (*self.key_path, part)
            self.allowed, self.field = NETWORKS, None


def _problem(error: ErrorDetails, value: object) -> str:
    if isinstance(value, tuple):  # which the file has as a list
        value = list(cast("tuple[object, ...]", value))
    if error["type"] in ("too_long", "too_short") and isinstance(value, Sized):
        return f"has {len(value)}" if len(value) else f"is empty ({value})"
    return "is empty" if value is None else f"is {format_value(value)}"


_REMEDIES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("too_short", lambda value: not value, "write at least one"),
    ("string_type", lambda value: isinstance(value, int | float), "put it in quotes"),
    ("int_type", lambda value: isinstance(value, str) and value.isdecimal(), "write it without quotes"),
    ("date_type", lambda value: value is not None, "write it as YYYY-MM-DD, without quotes"),
    ("bool_type", lambda value: value in ("yes", "no", "on", "off"), "write true or false"),
)


def _remedy_of_unknown_key(key: str, model: type[BaseModel]) -> str:
    elsewhere = next((network for network, kind in INTERPRETER_TYPES.items() if key in kind.model_fields), None)
    if elsewhere is not None and issubclass(model, BaseInterpreter):
        return f"take it out, or say network: {elsewhere}"
    near = difflib.get_close_matches(key, model.model_fields, n=1)
    return f"write {near[0]}, or take it out" if near else "take it out"


def _is_deep(value: object) -> bool:
    return isinstance(value, dict | list)


def _bare(kind: object) -> object:
    """A type without what is said about it, and without `| None`."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind):
            kind = next(one for one in get_args(kind) if one is not type(None))
        else:
            return kind


def _said_of(kind: object) -> FieldInfo | None:
    """What is said about the type of keys, or of what is in a list or a mapping."""
    return next((one for one in get_args(kind)[1:] if isinstance(one, FieldInfo)), None)
