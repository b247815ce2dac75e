"""All rule packs of cdk-nag, and checkov, over the included environments and two with most options.

Every finding has a reason at its resource or at the construct that creates it, and every reason has a finding.
"""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest
from aws_cdk import Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs

from sandpiper_constructs.nag_suppressions import accept_log
from tests.support.assemblies import REASON_CHARACTERS
from tests.support.project import PROJECT
from tests.support.rules.cdk_nag import nag_acceptances, nag_findings, synthesize_with_packs
from tests.support.rules.pack_rules import PACK_FILES, pack_rules
from tests.support.rules.review import Review, review

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aws_cdk as cdk

    from tests.support.assemblies import Assembly

ENVIRONMENTS = {"dev", "local", "prod", "own", "existing"}


@pytest.fixture(scope="module")
def reviewed(assemblies: Mapping[str, Assembly], tmp_path_factory: pytest.TempPathFactory) -> Review:
    return review(tmp_path_factory.mktemp("review"), assemblies)


def test_every_finding_is_accepted_at_its_resource_or_its_construct(reviewed: Review) -> None:
    assert set(reviewed.assemblies) == ENVIRONMENTS
    assert {finding.pack for finding in reviewed.findings} == {*PACK_FILES, "checkov"}
    assert [finding for finding in reviewed.findings if finding.reason is None] == []
    for finding in reviewed.findings:
        assert len(finding.reason or "") > REASON_CHARACTERS, finding
        at = finding.accepted_at or ""
        # A construct accepts the findings of the resources that it creates, a stack never does.
        assert finding.at == at or (finding.at.startswith(f"{at}/") and "/" in at), "not at its resource or construct"


def test_every_acceptance_has_a_finding(reviewed: Review) -> None:
    assert reviewed.acceptances - {(finding.rule, finding.accepted_at) for finding in reviewed.findings} == set()


def test_no_rule_is_accepted_by_a_pattern(reviewed: Review) -> None:
    """A `*` occurs only in the part of a policy that a finding names."""
    assert [rule for rule, _ in reviewed.acceptances if "*" in rule.partition("[")[0]] == []


def test_checkov_finds_nothing_in_the_templates(reviewed: Review) -> None:
    assert reviewed.still_failed == ()


def test_page_is_up_to_date(reviewed: Review) -> None:
    page = runpy.run_path(str(PROJECT / "tools" / "controls_page.py"))["page"](reviewed)
    assert page == (PROJECT / "docs" / "controls.md").read_text(), "run: python tools/controls_page.py"


def test_controls_of_the_packs_are_up_to_date() -> None:
    content = runpy.run_path(str(PROJECT / "tools" / "pack_controls.py"))["content"]()
    committed = (PROJECT / "sandpiper" / "review" / "controls" / "pack_controls.json").read_text()
    assert content == committed, "run: python tools/pack_controls.py"


def test_finding_without_a_reason_and_reason_without_a_finding_are_reported(tmp_path: Path) -> None:
    def fill(app: cdk.App) -> None:
        stack = Stack(app, "stack")
        days = logs.RetentionDays.ONE_DAY
        logs.LogGroup(stack, "Unaccepted", retention=days)
        encrypted = logs.LogGroup(stack, "Encrypted", retention=days, encryption_key=kms.Key(stack, "Key"))
        accept_log(encrypted, None, "The log group has a key.")

    assembly = synthesize_with_packs(tmp_path, fill)
    unaccepted = {(finding.rule, finding.at) for finding in nag_findings(assembly) if finding.reason is None}
    rules = {f"{pack}-CloudWatchLogGroupEncrypted" for pack in ("HIPAA.Security", "NIST.800.53.R5", "PCI.DSS.321")}
    assert unaccepted >= {(rule, "stack/Unaccepted/Resource") for rule in rules}
    assert nag_acceptances(assembly) == {(rule, "stack/Encrypted") for rule in rules}


@pytest.mark.parametrize("pack", PACK_FILES)
def test_rules_of_a_pack_are_read_completely(pack: str) -> None:
    rules = pack_rules(pack)
    assert len({rule.id for rule in rules}) == len(rules) > 15
    standard = pack not in ("AwsSolutions", "Serverless")
    assert all(bool(rule.controls) == standard for rule in rules)
    assert all(re.fullmatch(r"[A-Z0-9][\w.()-]+", control) for rule in rules for control in rule.controls)
