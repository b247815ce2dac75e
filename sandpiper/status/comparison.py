"""One difference between a template and what is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sandpiper.plan.permissions import compared
from sandpiper.plan.properties import text
from sandpiper.plan.render import grant_in_words
from sandpiper.plan.template import is_known

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """A property of a resource, as the template has it and as it was found. Where it is unknown, nobody can tell: the
    template has it by a name that CloudFormation alone resolved.
    """

    property: str
    expected: str
    found: str
    is_gone: bool = False
    is_unknown: bool = False

    @staticmethod
    def gone() -> Difference:
        """The resource is not there."""
        return Difference("the resource itself", "is there", "is deleted", is_gone=True)

    @staticmethod
    def between(name: str, expected: object, found: object) -> Iterator[Difference]:
        """One difference, or none; lists in any order."""
        said = text(expected) or NOTHING
        if _ordered(expected) != _ordered(found):
            yield Difference(name, said, text(found) or NOTHING, is_unknown=not is_known(said))

    @staticmethod
    def of_policy(name: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
        """Differences of two policies, grant by grant."""
        grants = compared(expected, found)
        yield from (Difference(name, grant_in_words(one), NOTHING) for one in grants.missing)
        yield from (Difference(name, NOTHING, grant_in_words(one)) for one in grants.more)
        yield from (Difference(name, grant_in_words(one), NOTHING, is_unknown=True) for one in grants.unknown)


def _ordered(value: object) -> object:
    return sorted(map(str, cast("list[object]", value))) if isinstance(value, list) else value
