"""Writes docs/controls.md: each rule that applies, and how it is met or why it is accepted at which resources.

    python tools/controls_page.py

The reasons of accepted findings are those in the constructs. `sandpiper.review.controls` describes how the other rules
are met, and what the account has to provide.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sandpiper.review.controls.account import ACCOUNT
from sandpiper.review.controls.met import MET
from sandpiper.review.controls.requirements import REQUIREMENTS
from sandpiper.review.controls.standards import CIS, STANDARDS
from tests.support.rules.checkov import CHECKOV
from tests.support.rules.pack_rules import pack_rules, without_enhancements
from tests.support.rules.review import review, synthesize_included

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.rules.review import Review

PROJECT = Path(__file__).resolve().parents[1]
TITLES = {
    **{name: title for name, title in STANDARDS.items() if name != CIS},
    "AwsSolutions": "AWS Solutions",
    "Serverless": "Serverless",
    CHECKOV: "checkov",
}
"""Headings by rule pack, in the order of the page."""

HEAD = """# Controls

This page lists every rule of [cdk-nag](https://github.com/cdklabs/cdk-nag/blob/main/RULES.md) and
[checkov](https://www.checkov.io/5.Policy%20Index/cloudformation.html) that applies to a resource of
Sandpiper: why it is accepted, or how it is met. It is generated, and a test fails on a finding
without a reason.

The rules check the environments in `environments/`, and two with nearly every option: ten tenants
with a new bucket, and four with an existing one. They check properties of templates: a met rule
does not prove compliance with a standard.
[Permissions](permissions.md) describes every role and policy.

*Controls* are those that the pack assigns to the rule. An enhancement such as AC-2(6) is listed as
its control, AC-2. A rule that depends on an option has two rows.

[Reviews](review.md#controls) decide the requirements of these standards for the templates of one
environment or of another app.

| Rules | Apply | Accepted | Met |
|---|---|---|---|
"""
CIS_HEAD = """The recommendations that templates decide about. A requirement that is accepted has its reason in
the tables above.

| Recommendations | Requirement | How it is met |
|---|---|---|
"""
ACCOUNT_HEAD = """
## Responsibility of the account

No template of an environment can meet these controls. They are about the whole account, or about
the team that operates it.

"""
TABLE = """\
| Rule | Controls | State | Reason, or how it is met | Resources |
|---|---|---|---|---|
"""


@dataclass(frozen=True, order=True)
class Row:
    """A row of a table. Accepted rows are sorted before met ones."""

    is_met: bool
    rule: str
    text: str
    controls: str
    resources: str

    def __str__(self) -> str:
        state = "met" if self.is_met else "accepted"
        return f"| `{self.rule}` | {self.controls} | {state} | {self.text} | {self.resources} |\n"


class Applicable(NamedTuple):
    """A rule that applies to a resource.

    Attributes:
        id: the id of the rule in its pack.
        name: its name in `MET`.
        controls: the controls that the pack assigns to it.
        types: the types of the resources.
    """

    id: str
    name: str
    controls: str
    types: set[str]


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/controls.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "controls.md"
    os.chdir(PROJECT)
    with tempfile.TemporaryDirectory() as folder:
        file.write_text(page(review(Path(folder), synthesize_included(Path(folder)))))


def page(reviewed: Review) -> str:
    """Returns the page. Raises ValueError if `MET` has no text for a rule that is met, or a text for no rule."""
    applicable = {pack: list(_applicable(pack, reviewed)) for pack in TITLES}
    unused = MET.keys() - {rule.name for rules in applicable.values() for rule in rules}
    if unused:
        raise ValueError(f"MET has {sorted(unused)}, which apply to no resource: remove them")
    tables = {pack: sorted(_rows(pack, rules, reviewed)) for pack, rules in applicable.items()}
    summary = "".join(
        f"| [{TITLES[pack]}](#{_anchor(TITLES[pack])}) | {len({row.rule for row in rows})} "
        f"| {len({row.rule for row in rows if not row.is_met})} | {len({row.rule for row in rows if row.is_met})} |\n"
        for pack, rows in tables.items()
    )
    return HEAD + summary + "".join(_section(pack, rows) for pack, rows in tables.items()) + _cis() + _account()


def _rows(pack: str, rules: Iterable[Applicable], reviewed: Review) -> Iterator[Row]:
    """Yields a row for each rule that is accepted at a resource, and one for each rule that is met."""
    findings = [finding for finding in reviewed.findings if finding.pack == pack]
    for rule in rules:
        accepted = [finding for finding in findings if finding.rule.partition("[")[0] == rule.id]
        row = partial(Row, rule=rule.id, controls=rule.controls)
        if accepted:
            reasons = sorted({finding.reason or f"not accepted at {finding.at}" for finding in accepted})
            at = {finding.type for finding in accepted}
            yield row(is_met=False, text="<br>".join(reasons), resources=_names(at))
        if rule.name in MET:
            yield row(is_met=True, text=MET[rule.name], resources=_names(rule.types))
        elif not accepted:
            raise ValueError(f"MET has no text for {rule.name}, a rule of {pack} that applies to {sorted(rule.types)}")


def _applicable(pack: str, reviewed: Review) -> Iterator[Applicable]:
    """Yields the rules that apply to a resource."""
    if pack == CHECKOV:
        by_check = {check: set(types) for check, types in reviewed.passed.items()}
        for finding in reviewed.findings:
            if finding.pack == CHECKOV:
                by_check.setdefault(finding.rule, set()).add(finding.type)
        yield from (Applicable(check, check, "", types) for check, types in sorted(by_check.items()))
        return
    all_types = reviewed.types()
    for rule in pack_rules(pack):
        types = {type_ for type_ in all_types if type_.removeprefix("AWS::").lower() in rule.resources}
        if types:
            yield Applicable(rule.id, rule.name, ", ".join(without_enhancements(rule.controls)), types)


def _names(types: Iterable[str]) -> str:
    return ", ".join(sorted(type_.removeprefix("AWS::") for type_ in types))


def _anchor(title: str) -> str:
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _section(pack: str, rows: Iterable[Row]) -> str:
    return f"\n## {TITLES[pack]}\n\n{TABLE}" + "".join(map(str, rows))


def _cis() -> str:
    """Returns the recommendations of CIS, for which cdk-nag has no pack."""
    rows = "".join(
        f"| {', '.join(one.cis)} | `{one.name}` | {one.met if one.name in MET or one.text else 'accepted'} |\n"
        for one in REQUIREMENTS
        if one.cis
    )
    return f"\n## {STANDARDS[CIS]}\n\n{CIS_HEAD}{rows}"


def _account() -> str:
    head = f"| What | {' | '.join(STANDARDS.values())} |\n|---|{'---|' * len(STANDARDS)}\n"
    rows = (
        f"| {text} | {' | '.join(', '.join(controls.get(name, ())) for name in STANDARDS)} |\n"
        for text, controls in ACCOUNT
    )
    return ACCOUNT_HEAD + head + "".join(rows)


if __name__ == "__main__":
    main()
