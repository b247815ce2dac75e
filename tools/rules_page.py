"""Writes docs/review-rules.md from the table of rules in `sandpiper.review.rules`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.review.deployed.rules import ACCOUNT_RULES
from sandpiper.review.proofs.properties import PROPERTIES
from sandpiper.review.rules import RULES
from sandpiper.review.rules.escalation_table import CODE, OWN_POLICIES, PASSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.rule import Rule

PROJECT = Path(__file__).resolve().parents[1]
_HEAD = """# Rules of the review

`sandpiper review` applies these rules to every template, and the rules about the account with
`--deployed`. [Review](review.md) explains how to read
and accept their findings. A single finding can have a lower severity than its rule.

"""
_GROUPS = {
    "network": "Network",
    "trust": "Trust policies",
    "execution_role": "Execution roles",
    "callers": "Callers",
    "access": "Expected access",
    "data": "Data",
    "logs": "Audit trail and logs",
    "secrets": "Secrets",
    "limits": "Limits",
    "exceptions": "Exceptions",
    "escalation": "Escalation",
    "templates": "Templates",
    "account": "Account",
}
_ESCALATIONS = """
## Known paths of privilege escalation

The escalation rules know these combinations of actions. A path counts when one identity has all of
them, no statement denies one of them for all resources, and its permissions boundary, if the
templates contain it, allows them.

| Path | Actions | Role is passed to |
|---|---|---|
"""


_PROOFS = """
## Proved properties

`sandpiper review` [proves](review.md#proofs) these properties for every request. A request that
refutes one is a finding of the rule `proof-ID`.

| Property | Severity | Holds if proved | Consequence of a counterexample | Remedy |
|---|---|---|---|---|
"""


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/review-rules.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "review-rules.md"
    file.write_text(page())


def page() -> str:
    """Returns the page."""
    return (
        _HEAD
        + "\n".join(_sections()).rstrip("\n")
        + "\n"
        + _ESCALATIONS
        + "".join(_escalations())
        + _PROOFS
        + "".join(_proofs())
    )


def _sections() -> Iterator[str]:
    for group, rules in groupby((*RULES, *ACCOUNT_RULES), key=lambda rule: rule.group):
        yield f"## {_GROUPS[group]}\n"
        yield "| Rule | Severity | Requires | Reason | Remedy |"
        yield "|---|---|---|---|---|"
        yield from map(_row, rules)
        yield ""


def _row(rule: Rule) -> str:
    cells = (f"[`{rule.id}`]({rule.source})", rule.severity.word, rule.title, rule.reason, rule.remedy)
    return f"| {' | '.join(cells)} |"


def _escalations() -> Iterator[str]:
    for one in (*PASSING, *OWN_POLICIES, *CODE):
        actions = ", ".join(f"`{action}`" for action in one.actions)
        yield f"| {one.name} | {actions} | {f'`{one.service}`' if one.service else ''} |\n"


def _proofs() -> Iterator[str]:
    for one in PROPERTIES:
        yield f"| `{one.id}` | {one.severity.word} | {one.title} | {one.meaning} | {one.remedy} |\n"


if __name__ == "__main__":
    main()
