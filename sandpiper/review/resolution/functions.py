"""The intrinsic functions of CloudFormation, as a table of what each returns for its argument.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.resolution.bounded_text import joined, substituted
from sandpiper.review.resolution.no_value import NO_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandpiper.review.resolution.conditions import World
    from sandpiper.review.resolution.scope import Scope

SUB_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


def _ref(scope: Scope, argument: Any, _world: World) -> Any:
    return scope.ref(argument)


def _get_att(scope: Scope, argument: Any, world: World) -> Any:
    logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
    return scope.attribute(logical_id, scope.resolve(attribute, world))


def _join(scope: Scope, argument: Any, world: World) -> str:
    delimiter, parts = argument
    resolved = scope.resolve(parts, world)
    if not isinstance(resolved, list):
        return str(resolved)
    return joined(str(delimiter), map(_as_text, cast("list[object]", resolved)))


def _sub(scope: Scope, argument: Any, world: World) -> str:
    text: str = argument if isinstance(argument, str) else argument[0]
    variables: Mapping[str, object] = {} if isinstance(argument, str) else argument[1]

    def replacement(match: re.Match[str]) -> str:
        is_literal, name = match.groups()
        name = name.strip()
        if is_literal:
            return f"${{{name}}}"
        if name in variables:
            return _as_text(scope.resolve(variables[name], world))
        return _as_text(_get_att(scope, name, world) if "." in name else scope.ref(name))

    return substituted(SUB_VARIABLE, replacement, scope.text(text))


def _if(scope: Scope, argument: Any, world: World) -> Any:
    condition, yes, no = argument
    holds = world.get(condition, scope.known.get(condition, True))
    return scope.resolve(yes if holds else no, world)


def _select(scope: Scope, argument: Any, world: World) -> Any:
    index, values = (scope.resolve(one, world) for one in argument)
    if not isinstance(values, list):
        return scope.unknown(f"Select.{index}.{_as_text(values)[:40]}", "the list is known after the deployment")
    return cast("list[Any]", values)[int(index)]


def _split(scope: Scope, argument: Any, world: World) -> list[str]:
    delimiter, text = argument
    return str(scope.resolve(text, world)).split(delimiter)


def _find_in_map(scope: Scope, argument: Any, world: World) -> Any:
    keys = [str(scope.resolve(one, world)) for one in argument[:3]]
    value: Any = scope.source.section("Mappings")
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return scope.unknown("/".join(keys), "the mapping has no such key")
        value = cast("dict[str, Any]", value)[key]
    return scope.resolve(value)


def _import_value(scope: Scope, argument: Any, world: World) -> Any:
    return scope.exported(str(scope.resolve(argument, world)))


def _base64(scope: Scope, argument: Any, world: World) -> str:
    return base64.b64encode(str(scope.resolve(argument, world)).encode()).decode()


def _to_json(scope: Scope, argument: Any, world: World) -> str:
    encoder = json.JSONEncoder(separators=(",", ":"))
    return joined("", encoder.iterencode(scope.resolve(argument, world)))


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return joined(",", map(_as_text, cast("list[object]", value)))
    return "" if value is NO_VALUE or value is None else str(value)


FUNCTIONS: dict[str, Callable[[Scope, Any, World], Any]] = {
    "Ref": _ref,
    "Fn::Base64": _base64,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAtt": _get_att,
    "Fn::If": _if,
    "Fn::ImportValue": _import_value,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": _sub,
    "Fn::ToJsonString": _to_json,
}
"""What a function returns in a scope, for its argument, under some conditions. An error means invalid arguments."""
