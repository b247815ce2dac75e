"""`Fn::Join` in conditions of templates.

The bootstrap template of the CDK uses it in the conditions that decide which principals its roles trust. MiniStack
treats such a condition as true, and the roles would trust a principal with an empty name.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

from ministack.services.cloudformation import changesets, engine, handlers, stacks

MINISTACK_VERSION = "1.5.33"
_evaluate_conditions = engine._evaluate_conditions


def install() -> None:
    """Replaces MiniStack's evaluation of conditions."""
    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = evaluate_conditions


def evaluate_conditions(template: dict[str, Any], parameters: dict[str, dict[str, Any]]) -> dict[str, bool]:
    """Returns the values of a template's conditions."""
    conditions = _resolve_joins(template.get("Conditions", {}), parameters)
    return _evaluate_conditions({**template, "Conditions": conditions}, parameters)


def _resolve_joins(value: Any, parameters: dict[str, dict[str, Any]]) -> Any:
    """Returns a condition with each `Fn::Join` of strings and parameters resolved.

    The value of a list parameter is a string with commas.
    """
    if isinstance(value, list):
        return [_resolve_joins(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return parameters[value["Ref"]]["Value"] if value["Ref"] in parameters else value
    if "Fn::Join" not in value:
        return {name: _resolve_joins(item, parameters) for name, item in value.items()}
    delimiter, items = _resolve_joins(value["Fn::Join"], parameters)
    return delimiter.join(items.split(",") if isinstance(items, str) else [str(item) for item in items])
