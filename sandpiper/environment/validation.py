"""What pydantic found in a file, as faults: the sentences come from the model itself, in which each option says what is
allowed.

And what is left of a file without them, so that what holds between options is checked in the same run.
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

from sandpiper.environment.errors import Fault, Place, shown
from sandpiper.environment.interpreter import NETWORKS, PublicInterpreter, VpcInterpreter
from sandpiper.environment.model import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_core import ErrorDetails

    Context = Mapping[str, Any]

UNKNOWN_KEY = ("extra_forbidden", "invalid_key")
MOST_ROUNDS = 100
"""Each round takes something away. This many bound what a file can cost that was made to be odd."""


def faults_of(document: object, error: ValidationError) -> list[Fault]:
    """Every fault of the options themselves, one a place."""
    found: dict[Place, Fault] = {}
    for one in error.errors(include_url=False):
        option = _Option.at(document, one)
        found.setdefault(option.place, option.fault(one))
    return list(found.values())


def without_faults(document: object, context: Context | None) -> tuple[Environment | None, set[Place]]:
    """The environment that is left without what is wrong in the file, and the places that were left out for it.

    What is required has an example in its place. None where nothing is left.
    """
    rest, lost = copy.deepcopy(document), set[Place]()
    for _ in range(MOST_ROUNDS):
        try:
            return Environment.model_validate(rest, context=context), lost
        except ValidationError as error:
            for one in error.errors(include_url=False):
                lost.add(_mend(rest, _Option.at(rest, one)))
        if () in lost:
            break
    return None, lost


def _mend(document: object, option: _Option) -> Place:
    """Takes a fault out of the document, in place, and returns where. () when it is the document itself."""
    place, example = option.place, option.example
    while place:
        holder = _value_at(document, place[:-1])
        if isinstance(holder, dict):
            mapping = cast("dict[object, object]", holder)
            if example is None and option.is_required and place == option.place:
                place = place[:-1]
                continue
            if example is None:
                _remove(mapping, place[-1])
            else:
                mapping[place[-1]] = example
            return place
        # An item of a list: without it, the others would be told at wrong places.
        place = place[:-1]
    return ()


def _remove(mapping: dict[object, object], step: object) -> None:
    for key in [key for key in mapping if str(key) == str(step)]:
        del mapping[key]


def _value_at(document: object, place: Place) -> object:
    """What is at a place; None where nothing is."""
    for step in place:
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
    """A place in the file, and what the model has for it. Made by going into the model along pydantic's location."""

    kind: object = Environment
    model: type[BaseModel] = Environment
    field: FieldInfo | None = None
    allowed: str = ""
    place: Place = ()
    is_key: bool = False
    key_allowed: str = ""

    @classmethod
    def at(cls, document: object, error: ErrorDetails) -> _Option:
        option = cls()
        for part in error["loc"]:
            option._step(part)
        if error["type"] == "union_tag_invalid":  # told of the interpreter; it is the network's fault
            option._step("network")
        # `s3://…` is short for a mapping: the place ends where the file has no more.
        depth = next((n for n in range(len(option.place)) if not _is_deep(_value_at(document, option.place[:n]))), None)
        option.place = option.place[:depth]
        return option

    @property
    def is_required(self) -> bool:
        return self.field is not None and self.field.is_required() and not self.is_key

    @property
    def example(self) -> object:
        return self.field.examples[0] if self.field and self.field.examples and self.is_required else None

    def fault(self, error: ErrorDetails) -> Fault:
        kind, value = error["type"], error["input"]
        if kind == "union_tag_invalid":
            value = cast("Mapping[str, object]", value)["network"]
        if kind in UNKNOWN_KEY:
            allowed = ", ".join(self.model.model_fields)
            remedy = _remedy_of_unknown_key(str(error["loc"][-1]), self.model)
            return Fault(
                place=self.place, problem="is not an option", allowed=allowed, remedy=remedy, is_unknown_key=True
            )
        if kind == "missing":
            return Fault(place=self.place, problem="is missing", allowed=self.allowed, remedy="add it")
        model = _bare(self.kind)
        if kind == "model_type" and isinstance(model, type) and issubclass(model, BaseModel):
            self.allowed = "a mapping of " + ", ".join(model.model_fields)
        return Fault(
            place=self.place, problem=_problem(error, value), allowed=self.allowed, remedy=self._remedy(error, value)
        )

    def _remedy(self, error: ErrorDetails, value: object) -> str:
        """What the model's own check says, or what such a value mostly is, or what always helps."""
        if said := str(error.get("ctx", {}).get("error", "")):
            return said
        if self.is_key:
            return "rename it"
        for kind, is_such, remedy in _REMEDIES:
            if kind == error["type"] and is_such(value):
                return remedy
        is_optional = self.field is not None and not self.field.is_required()
        return "change it, or take it out for the default" if is_optional else "change it"

    def _step(self, part: str | int) -> None:
        kind = _bare(self.kind)
        arguments = get_args(kind)
        if part == "[key]":
            self.is_key, self.allowed = True, self.key_allowed
        elif get_origin(kind) is dict:
            self.key_allowed = _description_of(arguments[0])
            self.kind = arguments[1]
            self.place = (*self.place, str(part))
        elif get_origin(kind) is tuple:
            self.kind = arguments[0]
            self.place = (*self.place, part)
        elif get_origin(kind) in (Union, types.UnionType):
            self._into_member(arguments, str(part))
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            self._into_model(kind, str(part))

    def _into_model(self, model: type[BaseModel], name: str) -> None:
        self.model, self.field = model, model.model_fields.get(name)
        self.place = (*self.place, name)
        if self.field is not None:
            self.kind, self.allowed = self.field.annotation, self.field.description or ""

    def _into_member(self, members: tuple[object, ...], part: str) -> None:
        """Into the kind of interpreter that the tag names, or to the `network` that names none.

        A union of plain values has nothing inside: its part is a name that pydantic has for one of them.
        """
        kinds = {one.tag: kind for kind, *rest in map(get_args, members) for one in rest if isinstance(one, Tag)}
        if part in kinds:
            self.kind = kinds[part]
        elif kinds:
            self.place = (*self.place, part)
            self.allowed, self.field = NETWORKS, None


def _problem(error: ErrorDetails, value: object) -> str:
    if error["type"] in ("too_long", "too_short") and isinstance(value, Sized) and len(value):
        return f"has {len(value)}"
    return "is empty" if value is None else f"is {shown(value)}"


_REMEDIES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("string_type", lambda value: isinstance(value, int | float), "put it in quotes"),
    ("int_type", lambda value: isinstance(value, str) and value.isdecimal(), "write it without quotes"),
    ("date_type", lambda value: isinstance(value, str), "write it as YYYY-MM-DD, without quotes"),
    ("bool_type", lambda value: value in ("yes", "no", "on", "off"), "write true or false"),
)


def _remedy_of_unknown_key(key: str, model: type[BaseModel]) -> str:
    elsewhere = next((kind for kind in (PublicInterpreter, VpcInterpreter) if key in kind.model_fields), None)
    if elsewhere is not None and "network" in model.model_fields:
        return f"take it out, or say network: {elsewhere.__name__.removesuffix('Interpreter').upper()}"
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


def _description_of(key_type: object) -> str:
    options = [one for one in get_args(key_type)[1:] if isinstance(one, FieldInfo)]
    return options[0].description or "" if options else ""
