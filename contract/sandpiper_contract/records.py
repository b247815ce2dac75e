"""Records: JSON objects of the contract as frozen dataclasses.

A field is declared as `name: Annotated[type, field_type, "description"]`. Its JSON name is in camelCase. A field
without a default is required. Conditions between fields are listed in `RULES`. A record created in Python is validated
as strictly as one parsed from JSON, with the same error messages.
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
from sandpiper_contract.invalid_values import MISSING, invalid_without_value, require_instance
from sandpiper_contract.truncation import truncate

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper_contract.field_types import FieldType


class Rule(Protocol):
    """A condition between the fields of a record."""

    def check(self, record: Any) -> None:
        """Raises InvalidRequest if a record violates the rule."""
        ...

    def schema(self, record: Any) -> dict[str, object]:
        """Returns the rule as JSON Schema for a record type, or `{}` if JSON Schema cannot express it."""
        ...


class _SignatureAttribute:
    """The signature that `help` and notebooks show for a record type."""

    def __get__(self, instance: Record | None, owner: type[Record]) -> Signature:
        if not dataclasses.is_dataclass(owner):  # Record itself, which is never instantiated
            raise AttributeError("__signature__")
        return signature_of(owner)


class Record:
    """A JSON object of the contract. Two records are equal if their types and all their fields are equal.

    Example:
        >>> request = RunCode.from_json({"code": "print(1)"})
        >>> request == RunCode(code="print(1)")
        True
        >>> request.to_json()["language"]
        'python'
    """

    RULES: ClassVar[tuple[Rule, ...]] = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]
    __signature__ = _SignatureAttribute()

    def __init__(self, *positional: object, **named: object) -> None:
        """Validates every field and rule and creates the record. Raises InvalidRequest."""
        bound = signature_of(type(self)).bind(*positional, **named)
        bound.apply_defaults()
        for field in fields_of(type(self)):
            value = bound.arguments[field.attribute]
            is_default = not field.required and value is field.default
            vars(self)[field.attribute] = value if is_default else field.field_type.validate(field.name, value)
        self._check_rules()

    def _check_rules(self) -> None:
        for rule in self.RULES:
            rule.check(self)

    @classmethod
    def _from_validated(cls, values: Mapping[str, object]) -> Self:
        """Returns the record with these valid values, one for each field. Checks only the rules."""
        record = cls.__new__(cls)
        vars(record).update(values)
        record._check_rules()
        return record

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
        """Parses a JSON object. Raises InvalidRequest for the first error in it.

        Args:
            raw: The object as `json.loads` returns it.
            location: Path of the object. Error messages begin with it, unless it is `request`.

        Example:
            >>> Outputs.from_json({"maxFiles": -1}, "outputs")
            InvalidRequest: outputs.maxFiles is -1; allowed: a whole number of files from 0 to 1,000
        """
        return parse_record(cls, raw, location)

    def to_json(self) -> dict[str, object]:
        """Returns the record as a JSON object, without the fields that are None."""
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
    """Declares a record type: a frozen dataclass that inherits all its methods from Record.

    Methods compiled for each type, as `dataclass` generates them, would slow the cold start of a Lambda function.

    Example:
        >>> @record
        ... class Point(Record):
        ...     x: Annotated[int, Integer(0, 100, "pixels"), "Distance from the left edge."]
        >>> Point.from_json({"x": 3}).x
        3
    """

    def declare(declared: type[R]) -> type[R]:
        return dataclass(init=False, eq=False, repr=False, kw_only=kw_only)(declared)

    return declare if cls is None else declare(cls)


@dataclass(frozen=True, eq=False, repr=False)
class Field:
    """A field of a record: `attribute` is its name in Python, `name` its name in JSON."""

    attribute: str
    name: str
    field_type: FieldType
    description: str
    required: bool
    default: object


@cache
def fields_of(record: type[Record]) -> tuple[Field, ...]:
    """Returns the fields of a record type in their order.

    Example:
        >>> [field.name for field in fields_of(InputFile)]
        ['path', 'text', 'base64', 's3Uri', 's3Prefix']
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        Field(field.name, camel_case(field.name), *_annotation_of(hints[field.name]), *_default_of(field))
        for field in dataclasses.fields(cast("Any", record))
    )


@cache
def signature_of(record: type[Record]) -> Signature:
    """Returns the signature of a record type's constructor."""
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
    """Returns the JSON name of a Python name.

    Example:
        >>> camel_case("session_timeout_seconds")
        'sessionTimeoutSeconds'
    """
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def parse_record(record: type[R], raw: object, location: str) -> R:
    """Parses a JSON object at a location. Raises InvalidRequest for the first error in it.

    Reports unknown fields before missing ones, because a misspelled field is a common reason for a missing one.
    """
    if not isinstance(raw, Mapping):
        raise invalid_without_value(location, raw, "a JSON object")
    members = cast("Mapping[str, object]", raw)
    fields = fields_of(record)
    known = [field.name for field in fields]
    for name in members:
        if name not in known:
            shown = truncate(name if name.isprintable() else repr(name))
            unknown = _field_location(location, shown)
            raise InvalidRequest(f"{unknown} is an unknown field; allowed: {', '.join(known)}")
    values = {
        field.attribute: field.field_type.parse(_field_location(location, field.name), members.get(field.name, MISSING))
        if field.required or field.name in members
        else field.default
        for field in fields
    }
    try:
        return record._from_validated(values)  # pyright: ignore[reportPrivateUsage] - same module
    except InvalidRequest as error:
        raise error if location == "request" else InvalidRequest(f"{location}: {error}") from None


def _field_location(location: str, name: str) -> str:
    """Returns a field's path as error messages show it."""
    return name if location == "request" else f"{location}.{name}"


@dataclass(frozen=True, eq=False, repr=False)
class Nested:
    """The field type of a field that contains a record."""

    record: type[Record]

    def parse(self, location: str, value: object) -> Record:  # noqa: D102 - FieldType documents it
        return parse_record(self.record, value, location)

    def validate(self, location: str, value: object) -> Record:  # noqa: D102 - FieldType documents it
        return require_instance(location, value, self.record)

    def serialize(self, value: Record) -> object:  # noqa: D102 - FieldType documents it
        return value.to_json()

    def schema(self) -> dict[str, object]:  # noqa: D102 - FieldType documents it
        return {"$ref": f"#/$defs/{self.record.__name__}"}
