"""Every rule has templates that pass and templates that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandpiper.review.rules import RULES
from tests.review.rule_cases import FAILING, PASSING
from tests.support.review_templates import findings_of, review_of, secure

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.review_templates import Template

BY_ID = {rule.id: rule for rule in RULES}


def cases(table: dict[str, tuple[Callable[[Template], None], ...]]) -> list[object]:
    """Returns the parameters of a test: the rule and the change."""
    return [
        pytest.param(rule, change, id=f"{rule}-{number}")
        for rule, changes in table.items()
        for number, change in enumerate(changes, 1)
    ]


def test_the_secure_template_has_no_finding() -> None:
    assert review_of(secure()).findings == ()


def test_every_rule_has_failing_templates_and_every_case_has_a_rule() -> None:
    assert FAILING.keys() == BY_ID.keys()
    assert PASSING.keys() <= BY_ID.keys()


@pytest.mark.parametrize(("rule", "change"), cases(FAILING))
def test_a_failing_template_has_a_finding(rule: str, change: Callable[[Template], None]) -> None:
    template = secure()
    change(template)
    found = findings_of(template, rule)
    assert found, f"{rule} finds nothing"
    for one in found:
        assert one.severity <= BY_ID[rule].severity
        assert one.message
        assert one.remedy == BY_ID[rule].remedy
        assert one.location.file == "app.json"
        assert one.location.line, one


@pytest.mark.parametrize(("rule", "change"), cases(PASSING))
def test_a_passing_template_has_no_open_finding(rule: str, change: Callable[[Template], None]) -> None:
    template = secure()
    change(template)
    assert findings_of(template, rule) == []


def test_rules_are_complete_and_unique() -> None:
    assert len(BY_ID) == len(RULES)
    for rule in RULES:
        assert rule.title.endswith(".")
        assert rule.reason.endswith(".")
        assert rule.remedy.endswith(".")
        assert rule.source.startswith("https://")
