"""The review of the included environments: no open finding of high severity, and every other finding is known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandpiper.review.controls.status import ControlState
from sandpiper.review.review import Target, review

if TYPE_CHECKING:
    from sandpiper.review.result import Review
    from tests.support.assemblies import Assembly

OPEN = {
    "prod": {"network-sandbox": 1, "role-boundary": 2, "role-foreign-bucket": 1, "callers-exceeded": 2},
    "dev": {"network-sandbox": 2, "role-boundary": 2, "callers-exceeded": 2, "audit-code": 1},
    "local": {"network-sandbox": 1, "role-boundary": 2, "callers-exceeded": 2, "audit-code": 1},
}
"""Open findings by rule. Those of high severity would fail synthesis. `audit-code` is the only one of medium severity:
these two environments have no audit trail."""


def reviewed(assembly: Assembly) -> Review:
    """Returns the review of an assembly."""
    return review([Target(assembly.directory, "")])


@pytest.mark.parametrize("name", OPEN)
def test_the_included_environments_have_known_findings(assemblies: dict[str, Assembly], name: str) -> None:
    found = reviewed(assemblies[name])
    rules = {rule.id for rule in found.rules}  # proofs have their own tests
    assert Counter(one.rule_id for one in found.open_findings if one.rule_id in rules) == OPEN[name]
    assert found.model.policies.unresolved == ()
    assert [one for one in found.controls if one.state is ControlState.OPEN] == []


def test_internet_access_is_accepted_with_its_reason_owner_and_expiry_date(rich: Assembly) -> None:
    found = reviewed(rich)
    (public,) = (one for one in found.accepted_findings if one.rule_id == "network-public")
    assert public.location.construct == "sandpiper-one-analytics/Interpreter-two/Resource/Resource"
    assert public.acceptance is not None
    assert (public.acceptance.reason, public.acceptance.owner) == ("pip", "analysts")
    assert str(public.acceptance.expires) == "2999-06-30"
    assert not [one for one in found.open_findings if one.severity.word == "high"]


def test_reasons_for_cdk_nag_are_acceptances_of_equal_rules(dev: Assembly) -> None:
    accepted = {one.rule_id for one in reviewed(dev).accepted_findings}
    assert accepted == {"logs-encryption", "limits-concurrency"}
