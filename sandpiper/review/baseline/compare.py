"""Compares a model with an approval: new grants and removed limits are not approved. Removed grants always are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.review.baseline.entries import entries_of, holders_of
from sandpiper.review.baseline.example import example_of

if TYPE_CHECKING:
    from sandpiper.review.baseline.entries import Entry
    from sandpiper.review.baseline.file import Baseline
    from sandpiper.review.model import ReviewModel

MAX_EXAMPLES = 50
"""New grants with an example request. Each can take a proof."""


@dataclass(frozen=True)
class NewGrant:
    """A grant that is not approved, with an example of a request; the example is empty for a grant beyond the first."""

    entry: Entry
    example: str


@dataclass(frozen=True)
class Changes:
    """What has changed since an approval.

    Attributes:
        baseline: The approval.
        granted: Grants that are not approved.
        loosened: Approved limits that are missing, of identities and resources that still exist.
        revoked: Approved grants that are missing.
        tightened: Limits that are new.
    """

    baseline: Baseline
    granted: tuple[NewGrant, ...]
    loosened: tuple[Entry, ...]
    revoked: tuple[Entry, ...]
    tightened: tuple[Entry, ...]

    @property
    def are_approved(self) -> bool:
        """Whether nothing is allowed that is not approved."""
        return not self.granted and not self.loosened


def compare(model: ReviewModel, baseline: Baseline) -> Changes:
    """Compares a model with an approval."""
    now, approved = entries_of(model), baseline.entries
    holders = holders_of(model)
    new = [one for one in now.values() if one.key not in approved]
    gone = [one for one in approved.values() if one.key not in now]
    granted = [one for one in new if one.is_grant]
    texts: dict[str, str] = defaultdict(str)
    for one in approved.values():
        texts[one.holder] += f"{one.sentence}\n" if one.is_grant else ""
    return Changes(
        baseline=baseline,
        granted=tuple(
            NewGrant(one, example_of(model, one, texts[one.holder]) if number < MAX_EXAMPLES else "")
            for number, one in enumerate(granted)
        ),
        loosened=tuple(one for one in gone if not one.is_grant and one.holder in holders),
        revoked=tuple(one for one in gone if one.is_grant),
        tightened=tuple(one for one in new if not one.is_grant),
    )
