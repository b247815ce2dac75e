"""Finds folders that one tenant writes and another one reads or writes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

from sandpiper.review.rules.queries import granted
from sandpiper_policy.model.matching import patterns_overlap

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper_policy.model.statements import PolicyStatement

WRITES = ("s3:PutObject", "s3:DeleteObject")
READS = ("s3:GetObject", "s3:GetObjectVersion")
MAX_PATTERN = 2_048
_LAST = "\U0010ffff"
Grant = tuple[str, str, str, "PolicyStatement"]
"""The literal beginning of a pattern of objects, the pattern, the tenant and the statement."""


def overlapping_folders(
    by_tenant: Mapping[str, Sequence[PolicyStatement]],
) -> Iterator[tuple[PolicyStatement, str, str, str]]:
    """Yields each statement that reaches objects that another tenant can write.

    The time is nearly linear in the number of statements: patterns are compared only if the literal beginning of one
    is the beginning of the other.

    Args:
        by_tenant: The statements of the execution roles by tenant.

    Yields:
        The statement, its pattern, the other tenant, and the pattern that the other tenant can write.
    """
    writes = sorted(_grants(by_tenant, WRITES), key=lambda grant: grant[0])
    heads = [grant[0] for grant in writes]
    for head, pattern, tenant, statement in _grants(by_tenant, (*WRITES, *READS)):
        for other_head, other, other_tenant, _ in _candidates(head, heads, writes):
            del other_head
            if other_tenant != tenant and _overlap(pattern, other):
                yield statement, pattern, other_tenant, other


def _grants(by_tenant: Mapping[str, Sequence[PolicyStatement]], actions: tuple[str, ...]) -> Iterator[Grant]:
    for tenant, statements in by_tenant.items():
        for one in statements:
            if granted(one, *actions) and not one.syntax.resource.negated:
                for value in one.syntax.resource.values:
                    pattern = value if ":s3:::" in value else "arn:aws:s3:::*" if value == "*" else ""
                    if pattern:
                        yield pattern.split("*")[0].split("?")[0], pattern, tenant, one


def _candidates(head: str, heads: Sequence[str], writes: Sequence[Grant]) -> Iterator[Grant]:
    """Yields the writes whose literal beginning starts with `head`, or with which `head` starts."""
    yield from writes[bisect_left(heads, head) : bisect_right(heads, head + _LAST)]
    for length in range(len(head)):
        shorter = head[:length]
        start = bisect_left(heads, shorter)
        if start < len(heads) and heads[start] == shorter:
            yield from writes[start : bisect_right(heads, shorter)]


def _overlap(one: str, other: str) -> bool:
    return max(len(one), len(other)) > MAX_PATTERN or patterns_overlap(one, other)
