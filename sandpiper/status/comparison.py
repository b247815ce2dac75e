"""One difference between a template and what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sandpiper.plan.permissions import grants_of
from sandpiper.plan.properties import text
from sandpiper.plan.template import is_known
from sandpiper.plan.words import grant_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """A property of a resource, as the template has it and as it was found."""

    property: str
    expected: str
    found: str
    is_gone: bool = False

    @staticmethod
    def gone() -> Difference:
        """The resource is not there."""
        return Difference("the resource itself", "is there", "is deleted", is_gone=True)

    @staticmethod
    def between(name: str, expected: object, found: object) -> Iterator[Difference]:
        """One difference, or none; lists in any order. What only CloudFormation knows cannot be compared."""
        said = text(expected) or NOTHING
        if _ordered(expected) != _ordered(found) and is_known(said):
            yield Difference(name, said, text(found) or NOTHING)

    @staticmethod
    def of_policy(name: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
        """Differences of two policies, grant by grant."""
        missing, more = (tuple(map(grant_in_words, grants)) for grants in grants_of(expected, found))
        if not all(map(is_known, missing)):
            return
        yield from (Difference(name, one, NOTHING) for one in missing)
        yield from (Difference(name, NOTHING, one) for one in more)


def _ordered(value: object) -> object:
    return sorted(map(str, cast("list[object]", value))) if isinstance(value, list) else value
