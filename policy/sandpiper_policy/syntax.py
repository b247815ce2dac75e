"""The grammar of policy documents: splits a document into statements whose elements are strings.

Source: "Grammar of the IAM JSON policy language" in the IAM User Guide. `document` converts the strings to values that
can be evaluated; code that compares or prints policies uses the strings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from sandpiper_policy.errors import PolicyError

PRINCIPAL_TYPES = ("AWS", "Service", "Federated", "CanonicalUser")
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""

VERSIONS = ("2012-10-17", "2008-10-17")
"""The older version, which is the default, has no variables."""
DOCUMENT_ELEMENTS = {"Version", "Id", "Statement"}
STATEMENT_ELEMENTS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
}


class Effect(Enum):
    """The effect of a statement on the requests that it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True)
class Element:
    """The values of `Action` or `Resource`; `negated` for `NotAction` and `NotResource`. No values: it is missing."""

    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class PrincipalElement:
    """The pairs of type and name of `Principal`; `negated` for `NotPrincipal`. `"*"` is the pair `("*", "*")`."""

    names: tuple[tuple[str, str], ...]
    negated: bool = False


@dataclass(frozen=True)
class ConditionElement:
    """One operator with one key."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class StatementSyntax:
    """One statement as it is written; `index` is its position in the document, from 0."""

    index: int
    sid: str
    effect: Effect
    principal: PrincipalElement | None
    action: Element
    resource: Element
    conditions: tuple[ConditionElement, ...]


@dataclass(frozen=True)
class DocumentSyntax:
    """A policy document as it is written."""

    version: str
    statements: tuple[StatementSyntax, ...]


def parse_syntax(name: str, document: object) -> DocumentSyntax:
    """Splits a decoded policy document into its statements.

    Args:
        name: The name of the policy in error messages.
        document: The decoded JSON.

    Raises:
        PolicyError: The document does not follow the grammar.

    Example:
        >>> document = {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}}
        >>> parse_syntax("reader", document).statements[0].action
        Element(values=('iam:*',), negated=True)
    """
    if not isinstance(document, Mapping):
        raise PolicyError(f"{name}: not a JSON object")
    elements = cast("Mapping[str, Any]", document)
    version = elements.get("Version", VERSIONS[-1])
    if version not in VERSIONS:
        raise PolicyError(f"{name}: Version is {version!r}; allowed: {' | '.join(VERSIONS)}")
    if unknown := sorted(elements.keys() - DOCUMENT_ELEMENTS):
        raise PolicyError(f"{name}: unknown element {', '.join(unknown)} of a policy")
    listed = as_list(elements.get("Statement"))
    if not listed:
        raise PolicyError(f"{name}: Statement is empty; allowed: one or more statements")
    statements: list[StatementSyntax] = []
    for index, statement in enumerate(listed):
        try:
            statements.append(parse_statement(index, statement))
        except PolicyError as error:
            raise statement_error(name, index, error) from None
    return DocumentSyntax(str(version), tuple(statements))


def statement_error(name: str, index: int, error: PolicyError) -> PolicyError:
    """Returns the error with the policy and the statement, counted from 1, in its message."""
    return PolicyError(f"{name}, statement {index + 1}: {error}")


def as_list(value: object) -> list[Any]:
    """Returns a list unchanged, and any other value as a list with one item."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def parse_statement(index: int, statement: object) -> StatementSyntax:
    """Splits one decoded statement into its elements.

    Args:
        index: Its position in the document, from 0.
        statement: The decoded JSON.

    Raises:
        PolicyError: The statement does not follow the grammar.
    """
    if not isinstance(statement, Mapping):
        raise PolicyError("not a JSON object")
    elements = cast("Mapping[str, Any]", statement)
    if unknown := sorted(elements.keys() - STATEMENT_ELEMENTS):
        raise PolicyError(f"unknown element {', '.join(unknown)} of a statement")
    if elements.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"Effect is {elements.get('Effect')!r}; allowed: Allow | Deny")
    return StatementSyntax(
        index=index,
        sid=str(elements.get("Sid", "")),
        effect=Effect(elements["Effect"]),
        principal=_principal(elements),
        action=_element(elements, "Action"),
        resource=_element(elements, "Resource"),
        conditions=tuple(_conditions(elements.get("Condition", {}))),
    )


def _present(elements: Mapping[str, Any], name: str) -> str | None:
    """Returns the name of the element or of its negation, if the statement has one of them."""
    present = [candidate for candidate in (name, f"Not{name}") if candidate in elements]
    if len(present) > 1:
        raise PolicyError(f"exactly one of {name} and Not{name} is required")
    return present[0] if present else None


def _element(elements: Mapping[str, Any], name: str) -> Element:
    present = _present(elements, name)
    if present is None:
        return Element()
    values = _strings(elements[present], present)
    if not values:
        raise PolicyError(f"{present} is empty; allowed: one or more values")
    return Element(values, present != name)


def _principal(elements: Mapping[str, Any]) -> PrincipalElement | None:
    present = _present(elements, "Principal")
    if present is None:
        return None
    value = elements[present]
    negated = present == "NotPrincipal"
    if value == "*":
        return PrincipalElement((("*", "*"),), negated)
    if not isinstance(value, Mapping) or not value:
        raise PolicyError(f"the principal {value!r} is neither * nor an object")
    if "*" in value:  # ("*", "*") stands for everyone below, which a policy states as "*" or {"AWS": "*"} only
        raise PolicyError(f"'*' is not a principal type; allowed: {' | '.join(PRINCIPAL_TYPES)}")
    return PrincipalElement(
        tuple(
            (kind, _principal_name(name))
            for kind, names in cast("Mapping[str, Any]", value).items()
            for name in as_list(names)
        ),
        negated,
    )


def _principal_name(name: object) -> str:
    if not isinstance(name, str) or not name:
        raise PolicyError(f"the principal {name!r} is not a string")
    return name


def _conditions(block: object) -> list[ConditionElement]:
    if not isinstance(block, Mapping):
        raise PolicyError("Condition is not an object")
    conditions: list[ConditionElement] = []
    for operator, keys in cast("Mapping[str, Any]", block).items():
        if not isinstance(keys, Mapping):
            raise PolicyError(f"{operator} is not an object")
        conditions += [
            ConditionElement(operator, key, _strings(value, f"{operator} {key}"))
            for key, value in cast("Mapping[str, Any]", keys).items()
        ]
    return conditions


def _strings(value: object, location: str) -> tuple[str, ...]:
    """Returns a string or a list of strings as a tuple. Conditions may also have numbers and booleans."""
    values = as_list(value)
    if not all(isinstance(item, (str, int, float)) for item in values):
        raise PolicyError(f"{location} has a value that is not a string")
    return tuple(item if isinstance(item, str) else json.dumps(item) for item in values)
