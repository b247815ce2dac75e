"""Differences between a template and a deployed resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sandpiper.plan.grants import compare_documents
from sandpiper.plan.matching import to_text
from sandpiper.plan.render_permissions import render_grant
from sandpiper.plan.template import is_resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """A property of a resource that differs from the template.

    Attributes:
        is_deleted: whether the resource does not exist.
        is_unresolved: whether the value in the template is known only to CloudFormation, so that the two cannot be
            compared.
    """

    property: str
    expected: str
    found: str
    is_deleted: bool = False
    is_unresolved: bool = False

    @staticmethod
    def deleted() -> Difference:
        """Returns the difference of a resource that does not exist."""
        return Difference("the resource itself", "exists", "is deleted", is_deleted=True)

    @staticmethod
    def compare_values(name: str, expected: object, found: object) -> Iterator[Difference]:
        """Yields the difference between two values, if any. The order of lists does not matter."""
        text = to_text(expected) or NOTHING
        if _unordered(expected) != _unordered(found):
            yield Difference(name, text, to_text(found) or NOTHING, is_unresolved=not is_resolved(text))

    @staticmethod
    def compare_policies(name: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
        """Yields the differences between two policy documents, one for each grant."""
        grants = compare_documents(name, expected, found)
        yield from (Difference(name, render_grant(one), NOTHING) for one in grants.missing)
        yield from (Difference(name, NOTHING, render_grant(one)) for one in grants.extra)
        yield from (Difference(name, render_grant(one), NOTHING, is_unresolved=True) for one in grants.unresolved)


def _unordered(value: object) -> object:
    return sorted(map(str, cast("list[object]", value))) if isinstance(value, list) else value
