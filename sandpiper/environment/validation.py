"""Turns pydantic's validation errors into issues of the environment file.

The allowed values in a message are the description of the option in the model.
"""

from __future__ import annotations

import difflib
from collections.abc import Sized
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel, ValidationError

from sandpiper.environment.errors import ConfigIssue, KeyPath, format_value
from sandpiper.environment.interpreter import INTERPRETER_TYPES, BaseInterpreter
from sandpiper.environment.option_lookup import UNKNOWN_NETWORK, OptionLookup, without_annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

MAX_ISSUES = 200
"""Further problems of a file are counted and not explained. People correct the first ones and read the file again."""
UNKNOWN_KEY = ("extra_forbidden", "invalid_key")
_INTERPRETER_OPTIONS = {name for model in INTERPRETER_TYPES.values() for name in model.model_fields}
_REMEDIES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("too_short", lambda value: not value, "add at least one"),
    ("string_type", lambda value: isinstance(value, int | float), "put it in quotes"),
    ("int_type", lambda value: isinstance(value, str) and value.isdecimal(), "write it without quotes"),
    ("date_type", lambda value: value is not None, "write it as YYYY-MM-DD, without quotes"),
    ("bool_type", lambda value: value in ("yes", "no", "on", "off"), "write true or false"),
)
"""Remedies by pydantic's error type and a condition on the value."""


def issues_from(document: object, details: Sequence[ErrorDetails]) -> list[ConfigIssue]:
    """Returns the issues of single options, one for each key path."""
    issues: dict[KeyPath, ConfigIssue] = {}
    hidden = (each for detail in details if detail["type"] == UNKNOWN_NETWORK for each in _hidden_errors(detail))
    for detail in (*details, *hidden):
        option = OptionLookup.from_error(document, detail)
        issues.setdefault(option.key_path, _issue(option, detail))
    return list(issues.values())


def relevant_errors(error: ValidationError) -> list[ErrorDetails]:
    """Returns pydantic's errors, except a list that is only too short because invalid items do not count."""
    return [
        detail
        for detail in error.errors(include_url=False)
        if detail["type"] != "too_short" or len(detail["input"]) < detail.get("ctx", {})["min_length"]
    ]


def _hidden_errors(error: ErrorDetails) -> Iterator[ErrorDetails]:
    """Yields the other errors of an interpreter with an unknown network, which pydantic does not validate further."""
    options = {
        str(key): value for key, value in cast("Mapping[object, object]", error["input"]).items() if key != "network"
    }
    # The intended network is unknown, so the options are validated for the network that has most of them.
    tag, model = max(INTERPRETER_TYPES.items(), key=lambda each: len(options.keys() & each[1].model_fields.keys()))
    try:
        model.model_validate({**options, "network": tag})
    except ValidationError as hidden:
        for detail in relevant_errors(hidden):
            is_of_another_network = detail["type"] == "extra_forbidden" and detail["loc"][0] in _INTERPRETER_OPTIONS
            if detail["type"] != "missing" and not is_of_another_network:
                yield {**detail, "loc": (*error["loc"], tag, *detail["loc"])}


def _issue(option: OptionLookup, error: ErrorDetails) -> ConfigIssue:
    error_type, value, allowed = error["type"], error["input"], option.allowed
    if error_type in UNKNOWN_KEY:
        return ConfigIssue(
            key_path=option.key_path,
            problem="is not an option",
            allowed=", ".join(option.model.model_fields),
            remedy=_unknown_key_remedy(str(error["loc"][-1]), option.model),
            is_unknown_key=True,
        )
    if error_type == "missing":
        return ConfigIssue(key_path=option.key_path, problem="is missing", allowed=allowed, remedy="add it")
    if error_type == UNKNOWN_NETWORK:
        value = cast("Mapping[str, object]", value)["network"]
    expected = without_annotations(option.type)
    if error_type == "model_type" and isinstance(expected, type) and issubclass(expected, BaseModel):
        allowed = "a mapping of " + ", ".join(expected.model_fields)
    remedy = _remedy(option, error, value)
    return ConfigIssue(key_path=option.key_path, problem=_problem(error, value), allowed=allowed, remedy=remedy)


def _problem(error: ErrorDetails, value: object) -> str:
    if isinstance(value, tuple):  # a list in the file
        value = list(cast("tuple[object, ...]", value))
    if error["type"] in ("too_long", "too_short") and isinstance(value, Sized):
        return f"has {len(value)}" if len(value) else f"is empty ({value})"
    return "is empty" if value is None else f"is {format_value(value)}"


def _remedy(option: OptionLookup, error: ErrorDetails, value: object) -> str:
    """Returns the remedy of the model's own check, one for the kind of error, or a general one."""
    if message := str(error.get("ctx", {}).get("error", "")):
        return message
    if option.is_key:
        return "rename it"
    if error["type"] == UNKNOWN_NETWORK and (
        near := difflib.get_close_matches(str(value).upper(), INTERPRETER_TYPES, n=1)
    ):
        return f"write {near[0]}"
    for error_type, applies, remedy in _REMEDIES:
        if error_type == error["type"] and applies(value):
            return remedy
    is_optional = option.field is not None and not option.field.is_required()
    general = "set a value" if value is None else "change the value"
    return f"{general}, or remove it to use the default" if is_optional else general


def _unknown_key_remedy(key: str, model: type[BaseModel]) -> str:
    network = next((network for network, each in INTERPRETER_TYPES.items() if key in each.model_fields), None)
    if network is not None and issubclass(model, BaseInterpreter):
        return f"remove it, or set network: {network}"
    near = difflib.get_close_matches(key, model.model_fields, n=1)
    return f"rename it to {near[0]}, or remove it" if near else "remove it"
