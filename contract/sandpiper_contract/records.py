"""JSON objects as frozen dataclasses whose annotations say what each field holds, so that one text is all there is.

A field is `name: Annotated[type, kind, "what it is"]`; in JSON its name is in camelCase. A field without a default is
required. What holds between fields stands in `RULES`. A record that is made in Python is held to the same as one that
is read, and refused in the same words.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass
from functools import cache
from inspect import Parameter, Signature
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    NoReturn,
    Protocol,
    Self,
    TypeVar,
    cast,
    dataclass_transform,
    get_type_hints,
    overload,
)

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import MISSING, invalid_without_value, require_instance, truncate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper_contract.field_types import FieldType


class Rule(Protocol):
    """What holds between fields."""

    def check(self, record: Any) -> None:
        """Raises InvalidRequest where a record does not keep to it."""
        ...

    def schema(self, record: Any) -> dict[str, object]:
        """The rule as JSON Schema for a type of records, as far as that can say it."""
        ...


class _SignatureAttribute:
    """What `help` and notebooks show of a record."""

    def __get__(self, made: Record | None, of: type[Record]) -> Signature:
        if not dataclasses.is_dataclass(of):  # Record itself, which nobody makes
            raise AttributeError("__signature__")
        return signature_of(of)


class Record:
    """A JSON object of the contract. Two are equal when they are of one type and all their fields are equal."""

    RULES: ClassVar[tuple[Rule, ...]] = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]
    __signature__ = _SignatureAttribute()

    def __init__(self, *in_order: object, **by_name: object) -> None:
        """The record that Python code makes, once every field and every rule holds; raises InvalidRequest otherwise."""
        bound = signature_of(type(self)).bind(*in_order, **by_name)
        bound.apply_defaults()
        for field in fields_of(type(self)):
            value = bound.arguments[field.attribute]
            checked = field.required or value is not field.default
            vars(self)[field.attribute] = field.field_type.validate(field.name, value) if checked else value
        self._check_rules()

    def _check_rules(self) -> None:
        for rule in self.RULES:
            rule.check(self)

    @classmethod
    def _from_validated(cls, values: Mapping[str, object]) -> Self:
        """The record of these values, all of them, which are checked already, but for the rules."""
        made = cls.__new__(cls)
        vars(made).update(values)
        made._check_rules()
        return made

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @classmethod
    def from_json(cls, raw: object, location: str = "request") -> Self:
        """Reads an object that stands at `where`; raises InvalidRequest for the first thing that is wrong with it."""
        return parse_record(cls, raw, location)

    def to_json(self) -> dict[str, object]:
        """The object as JSON carries it, without the fields that are None."""
        values = ((field, getattr(self, field.attribute)) for field in fields_of(type(self)))
        return {field.name: field.field_type.serialize(value) for field, value in values if value is not None}


R = TypeVar("R", bound=Record)


@overload
@dataclass_transform(frozen_default=True)
def record(cls: type[R]) -> type[R]: ...
@overload
@dataclass_transform(frozen_default=True)
def record(*, kw_only: bool) -> Callable[[type[R]], type[R]]: ...
def record(cls: type[R] | None = None, *, kw_only: bool = False) -> Any:
    """A frozen dataclass whose methods are all Record's: compiled for each type, they slow a function's start."""

    def make(made: type[R]) -> type[R]:
        return dataclass(init=False, eq=False, repr=False, kw_only=kw_only)(made)

    return make if cls is None else make(cls)


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """One field of a record: its name in Python and in JSON, what it holds and what it is for."""

    attribute: str
    name: str
    field_type: FieldType
    description: str
    required: bool
    default: object


@cache
def fields_of(record: type[Record]) -> tuple[Field, ...]:
    """The record's fields in their order."""
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        Field(field.name, camel_case(field.name), *_annotation_of(hints[field.name]), *_default_of(field))
        for field in dataclasses.fields(cast("Any", record))
    )


@cache
def signature_of(record: type[Record]) -> Signature:
    """How Python code makes the record."""
    return Signature(
        [
            Parameter(
                field.name,
                Parameter.KEYWORD_ONLY if field.kw_only else Parameter.POSITIONAL_OR_KEYWORD,
                default=Parameter.empty if described.required else described.default,
                annotation=field.type,
            )
            for field, described in zip(dataclasses.fields(cast("Any", record)), fields_of(record), strict=True)
        ]
    )


def _annotation_of(hint: Any) -> tuple[FieldType, str]:
    field_type, description = hint.__metadata__
    return field_type, description


def _default_of(field: dataclasses.Field[Any]) -> tuple[bool, object]:
    if field.default_factory is not dataclasses.MISSING:
        return False, field.default_factory()
    required = field.default is dataclasses.MISSING
    return required, None if required else field.default


def camel_case(name: str) -> str:
    """`s3_uri` as `s3Uri`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def parse_record(record: type[R], raw: object, location: str) -> R:
    """Reads an object that stands at `where`; raises InvalidRequest for the first thing that is wrong with it.

    Fields that are not known are refused before anything else: a misspelt one is often why a known one is missing.
    """
    if not isinstance(raw, Mapping):
        raise invalid_without_value(location, raw, "a JSON object")
    members = cast("Mapping[str, object]", raw)
    fields = fields_of(record)
    known = [field.name for field in fields]
    for name in members:
        if name not in known:
            shown = truncate(name if name.isprintable() else repr(name))
            raise InvalidRequest(
                f"{_field_location(location, shown)} is not a field; the fields are {', '.join(known)}"
            )
    values = {
        field.attribute: field.field_type.parse(_field_location(location, field.name), members.get(field.name, MISSING))
        if field.required or field.name in members
        else field.default
        for field in fields
    }
    try:
        return record._from_validated(values)  # pyright: ignore[reportPrivateUsage] - of this file
    except InvalidRequest as error:
        raise error if location == "request" else InvalidRequest(f"{location}: {error}") from None


def _field_location(location: str, name: str) -> str:
    """A field's path as messages write it."""
    return name if location == "request" else f"{location}.{name}"


@dataclass(frozen=True, eq=False, repr=False)
class Nested:
    """The kind of a field that holds a record."""

    record: type[Record]

    def parse(self, location: str, value: object) -> Record:  # noqa: D102 - FieldType documents it
        return parse_record(self.record, value, location)

    def validate(self, location: str, value: object) -> Record:  # noqa: D102 - FieldType documents it
        return require_instance(location, value, self.record)

    def serialize(self, value: Record) -> object:  # noqa: D102 - FieldType documents it
        return value.to_json()

    def schema(self) -> dict[str, object]:  # noqa: D102 - FieldType documents it
        return {"$ref": f"#/$defs/{self.record.__name__}"}
