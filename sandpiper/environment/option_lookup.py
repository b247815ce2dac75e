"""Finds the option of the model that a pydantic error is about, and its key path in the file."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Union, cast, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic.fields import FieldInfo

from sandpiper.environment.interpreter import NETWORKS
from sandpiper.environment.model import Environment

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from sandpiper.environment.errors import KeyPath

UNKNOWN_NETWORK = "union_tag_invalid"


@dataclass
class OptionLookup:
    """The option at a location of pydantic, found by descending the model along the location.

    Pydantic's location also contains tags and members of unions, which are not in the file.

    Attributes:
        type: The option's type.
        model: The model that contains the option.
        field: The option's Field, or that of a list's item or a mapping's value.
        allowed: The allowed values, for messages.
        key_path: The key path in the file.
        is_key: Whether the error is about a mapping's key.
    """

    type: object = Environment
    model: type[BaseModel] = Environment
    field: FieldInfo | None = None
    allowed: str = ""
    key_path: KeyPath = ()
    is_key: bool = False
    _allowed_key: str = ""

    @classmethod
    def from_error(cls, document: object, error: ErrorDetails) -> OptionLookup:
        """Returns the option that an error of a document is about."""
        option = cls()
        for step in error["loc"]:
            option._descend(step)
        if error["type"] == UNKNOWN_NETWORK:  # pydantic reports it for the interpreter
            option._descend("network")
        # The short form `s3://…` has no keys: the key path ends where the file's values end.
        parents = (option.key_path[:length] for length in range(len(option.key_path)))
        depth = next(
            (len(parent) for parent in parents if not isinstance(value_at(document, parent), dict | list)), None
        )
        option.key_path = option.key_path[:depth]
        return option

    @property
    def is_required(self) -> bool:
        """Returns whether the option has no default."""
        return self.field is not None and self.field.is_required() and not self.is_key

    @property
    def example(self) -> object:
        """Returns a valid value of a required option, or None."""
        return self.field.examples[0] if self.field and self.field.examples and self.is_required else None

    def _descend(self, step: str | int) -> None:
        option_type = without_annotations(self.type)
        arguments = get_args(option_type)
        if step == "[key]":
            self.is_key, self.allowed = True, self._allowed_key
        elif get_origin(option_type) is dict:
            self._allowed_key = (_annotated_field(arguments[0]) or FieldInfo()).description or ""
            self._descend_into_item(arguments[1], str(step))
        elif get_origin(option_type) is tuple:
            self._descend_into_item(arguments[0], step)
        elif get_origin(option_type) in (Union, types.UnionType):
            self._descend_into_member(arguments, str(step))
        elif isinstance(option_type, type) and issubclass(option_type, BaseModel):
            self._descend_into_field(option_type, str(step))

    def _descend_into_field(self, model: type[BaseModel], name: str) -> None:
        self.model, self.field = model, model.model_fields.get(name)
        self.key_path = (*self.key_path, name)
        if self.field is not None:
            self.type, self.allowed = self.field.annotation, self.field.description or ""

    def _descend_into_item(self, item_type: object, step: str | int) -> None:
        self.key_path = (*self.key_path, step)
        self.type, self.field = item_type, _annotated_field(item_type)
        if self.field is not None:
            self.allowed = self.field.description or ""

    def _descend_into_member(self, members: tuple[object, ...], step: str) -> None:
        """Descends into the interpreter type that a tag names, or to `network` if there is no such tag.

        A union of plain values is not descended into: its step is pydantic's name of one of them.
        """
        tagged = {
            each.tag: member for member, *rest in map(get_args, members) for each in rest if isinstance(each, Tag)
        }
        if step in tagged:
            self.type = tagged[step]
        elif tagged:
            self.key_path = (*self.key_path, step)
            self.allowed, self.field = NETWORKS, None


def value_at(document: object, key_path: KeyPath) -> object:
    """Returns the value at a key path of a document. Returns None if there is none."""
    for step in key_path:
        document = _child(document, step)
    return document


def _child(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        mapping = cast("dict[object, object]", value)
        return next((child for key, child in mapping.items() if str(key) == str(step)), None)
    if isinstance(value, list) and isinstance(step, int):
        items = cast("list[object]", value)
        return items[step] if step < len(items) else None
    return None


def without_annotations(annotated: object) -> object:
    """Returns a type without its annotations and without `| None`."""
    while True:
        if get_origin(annotated) is Annotated:
            annotated = get_args(annotated)[0]
        elif get_origin(annotated) in (Union, types.UnionType) and type(None) in get_args(annotated):
            annotated = next(each for each in get_args(annotated) if each is not type(None))
        else:
            return annotated


def _annotated_field(annotated: object) -> FieldInfo | None:
    """Returns the Field in the annotations of a type, such as the type of a list's items."""
    return next((each for each in get_args(annotated)[1:] if isinstance(each, FieldInfo)), None)
