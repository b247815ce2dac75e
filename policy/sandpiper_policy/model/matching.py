"""Matches action and resource patterns of statements against known actions and ARNs, with an index for many ARNs.

The results over-approximate: conditions are not evaluated, and a pattern of objects matches the bucket of the objects.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper_policy.syntax import Element

_WILDCARD = re.compile(r"[*?]|\$\{")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_WILDCARD_RUN = re.compile(r"\*+")
MAX_PATTERN = 2_048
"""Longest pattern that is compared in detail. A longer one is no ARN and is treated as a match."""
_LAST = "\U0010ffff"


def pattern_matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Returns whether a pattern with `*` and `?` matches a text. The time is linear in pattern times text."""
    pieces = _WILDCARD_RUN.sub("*", _VARIABLE.sub("*", pattern))
    if ignore_case:
        pieces, text = pieces.lower(), text.lower()
    position = index = 0
    star, mark = -1, 0
    while position < len(text):
        if index < len(pieces) and (pieces[index] in ("?", text[position])) and pieces[index] != "*":
            position, index = position + 1, index + 1
        elif index < len(pieces) and pieces[index] == "*":
            star, mark, index = index, position, index + 1
        elif star >= 0:
            index, mark = star + 1, mark + 1
            position = mark
        else:
            return False
    return not pieces[index:].strip("*")


def patterns_overlap(one: str, other: str) -> bool:
    """Returns whether some text matches both patterns. The time is linear in one pattern times the other.

    Example:
        >>> patterns_overlap("arn:aws:s3:::data/a/*", "arn:aws:s3:::*/b"), patterns_overlap("a/*", "b/*")
        (True, False)
    """
    left, right = (_WILDCARD_RUN.sub("*", _VARIABLE.sub("*", text)) for text in (one, other))
    # row[j]: whether the rest of `left` and right[j:] have a common text
    row = [False] * (len(right) + 1)
    row[len(right)] = True
    for j in range(len(right) - 1, -1, -1):
        row[j] = right[j] == "*" and row[j + 1]
    for i in range(len(left) - 1, -1, -1):
        below, row = row, [False] * (len(right) + 1)
        row[len(right)] = left[i] == "*" and below[len(right)]
        for j in range(len(right) - 1, -1, -1):
            if left[i] == "*":
                row[j] = below[j] or row[j + 1]
            elif right[j] == "*":
                row[j] = row[j + 1] or below[j]
            else:
                row[j] = (left[i] == right[j] or "?" in (left[i], right[j])) and below[j + 1]
    return row[0]


def matched_actions(element: Element, known: tuple[str, ...]) -> frozenset[str]:
    """Returns the known actions that `Action` or `NotAction` matches."""
    return _matched_actions(element.values, element.negated, known)


@lru_cache(maxsize=65_536)
def _matched_actions(values: tuple[str, ...], negated: bool, known: tuple[str, ...]) -> frozenset[str]:
    lower = {action.lower(): action for action in known}
    found: set[str] = set()
    for value in values:
        if not _WILDCARD.search(value):
            if value.lower() in lower:
                found.add(lower[value.lower()])
        else:
            found |= {action for action in known if pattern_matches(value, action, ignore_case=True)}
    return frozenset(set(known) - found if negated else found)


class ArnIndex:
    """ARNs with the addresses of their resources, for lookups by pattern.

    Args:
        addresses: The addresses by ARN.
        inside: The separator after which an ARN names something inside the resource: `/` for objects of a bucket, `:`
            for versions of a function. Patterns of such ARNs match the resource.
    """

    def __init__(self, addresses: Mapping[str, str], inside: str = "") -> None:
        self._addresses, self._inside = addresses, inside
        self._sorted = sorted(addresses)
        self._found: dict[str, frozenset[str]] = {}

    def matched(self, element: Element) -> frozenset[str]:
        """Returns the addresses that `Resource` or `NotResource` matches."""
        found = frozenset[str]().union(*(self.find(value) for value in element.values))
        if not element.negated:
            return found
        covered = (address for value in element.values for address in self.covered(value))
        return frozenset(self._addresses.values()) - frozenset(covered)

    def find(self, pattern: str) -> frozenset[str]:
        """Returns the addresses whose resource, or something inside of it, a pattern matches."""
        if pattern not in self._found:
            self._found[pattern] = frozenset(self._find(pattern))
        return self._found[pattern]

    def covered(self, pattern: str) -> Iterable[str]:
        """Returns the addresses whose resource a pattern matches completely, with everything inside."""
        if pattern == "*":
            return self._addresses.values()
        end = f"{self._inside}\0" if self._inside else ""
        return [address for arn, address in self._addresses.items() if pattern_matches(pattern, arn + end)]

    def _find(self, pattern: str) -> Iterable[str]:
        if pattern == "*":
            return self._addresses.values()
        wildcard = _WILDCARD.search(pattern)
        if wildcard is None:
            return filter(None, [self._addresses.get(pattern), self._addresses.get(self._outer(pattern))])
        prefix = pattern[: wildcard.start()]
        if self._inside and prefix != (outer := self._outer(prefix)):
            return filter(None, [self._addresses.get(outer)])
        start, end = bisect_left(self._sorted, prefix), bisect_left(self._sorted, prefix + _LAST)
        candidates = self._sorted[start:end]
        return [self._addresses[arn] for arn in candidates if self._may_match(pattern, arn)]

    def _may_match(self, pattern: str, arn: str) -> bool:
        if len(pattern) > MAX_PATTERN or pattern_matches(pattern, arn):
            return True
        return bool(self._inside) and patterns_overlap(pattern, f"{arn}{self._inside}*")

    def _outer(self, arn: str) -> str:
        """Returns the ARN of the resource that an ARN is inside of."""
        parts = arn.split(":", 5)
        if not self._inside or len(parts) < 6:
            return arn
        if self._inside == "/":
            return ":".join((*parts[:5], parts[5].partition("/")[0]))
        return ":".join((*parts[:5], *parts[5].split(":")[:2]))
