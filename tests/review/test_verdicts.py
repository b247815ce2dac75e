"""Verdicts of other tools about interpreters, and the answers of the review."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import pytest

from sandpiper.review.formats.as_json import to_json
from sandpiper.review.formats.as_markdown import to_markdown
from sandpiper.review.review import Target, review
from sandpiper.review.rules.escalation_table import CREATE_INTERPRETER, INVOKE, PASS_ROLE, START
from sandpiper.review.rules.network import PUBLIC_ACCESS
from sandpiper.review.verdicts.nag_report import REPORT
from sandpiper.review.verdicts.table import EXTERNAL_RULES
from tests.support.review_templates import RUNS_CODE, allow, review_of, role, secure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.review_templates import Template

CONFIG_RULE = "bedrockagentcore-codeinterpreter-networkmode-check"
ELASTIC_RULE = "AWS Bedrock AgentCore with Public Network Browser or Code Interpreter Sandbox"
CREATION = "PassRole+AgentCoreCreateInterpreter+InvokeInterpreter"
NEXT_YEAR = (datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=365)).isoformat()


def with_mode(mode: str) -> Template:
    """Returns the template with another network mode of its interpreter."""
    template = secure()
    template["Resources"]["Interpreter"]["Properties"]["NetworkConfiguration"] = {"NetworkMode": mode}
    return template


def outcomes(template: Template) -> dict[str, str]:
    """Returns the outcomes by rule."""
    return {one.rule: one.outcome.value for one in review_of(template).verdicts}


def answers(template: Template) -> dict[str, str]:
    """Returns the answers to failed rules, by rule."""
    return {one.rule: one.answer for one in review_of(template).verdicts if one.answer}


@pytest.mark.parametrize(
    ("mode", "vpc_rules", "elastic"), [("VPC", "pass", "pass"), ("SANDBOX", "fail", "pass"), ("PUBLIC", "fail", "fail")]
)
def test_security_hub_and_config_require_vpc_and_elastic_refuses_a_role_with_public(
    mode: str, vpc_rules: str, elastic: str
) -> None:
    found = outcomes(secure() if mode == "VPC" else with_mode(mode))
    assert (found["BedrockAgentCore.7"], found[CONFIG_RULE], found[ELASTIC_RULE]) == (vpc_rules, vpc_rules, elastic)


def test_elastic_has_no_verdict_without_a_role() -> None:
    template = with_mode("PUBLIC")
    del template["Resources"]["Interpreter"]["Properties"]["ExecutionRoleArn"]
    assert outcomes(template)[ELASTIC_RULE] == "does not apply"


def test_the_answer_to_sandbox_is_its_residual_risk() -> None:
    answer = answers(with_mode("SANDBOX"))["BedrockAgentCore.7"]
    assert answer.startswith("Open finding network-sandbox (low): code in the interpreter can reach Amazon S3")


def test_the_answer_to_public_is_its_acceptance_until_that_expires() -> None:
    template = with_mode("PUBLIC")
    access = {"Reason": "Packages from PyPI", "Owner": "platform team", "Expires": NEXT_YEAR}
    template["Resources"]["Interpreter"]["Metadata"] = {PUBLIC_ACCESS: access}
    accepted = f"network-public is accepted by platform team until {NEXT_YEAR}: Packages from PyPI."
    assert answers(template)[ELASTIC_RULE] == accepted
    access["Expires"] = "2020-01-01"
    assert answers(template)[ELASTIC_RULE].startswith("Open finding network-public (high)")


def test_prowler_fails_one_policy_that_starts_and_invokes_and_passes_two_policies() -> None:
    template = secure()
    assert outcomes(template)["AgentCoreSessionInvoke"] == "fail"
    assert answers(template)["AgentCoreSessionInvoke"] == "The review has no finding of escalation-interpreter."
    policies = template["Resources"]["FunctionRole"]["Properties"]["Policies"]
    (start,) = (one for one in policies[0]["PolicyDocument"]["Statement"] if one["Action"] == list(RUNS_CODE))
    start["Action"] = RUNS_CODE[0]
    invoke = json.loads(json.dumps({**start, "Action": RUNS_CODE[1]}))
    policies.append({"PolicyName": "invoke", "PolicyDocument": {"Version": "2012-10-17", "Statement": [invoke]}})
    assert outcomes(template)["AgentCoreSessionInvoke"] == "pass"


def test_prowler_has_no_verdict_about_sessions_without_a_caller() -> None:
    template = secure()
    for name in ("Function", "FunctionRole", "Permission", "Workflow", "WorkflowRole", "BucketPolicy"):
        del template["Resources"][name]
    assert outcomes(template)["AgentCoreSessionInvoke"] == "does not apply"


def test_prowler_fails_passing_a_role_to_a_new_interpreter() -> None:
    template = secure()
    assert outcomes(template)[CREATION] == "pass"
    template["Resources"]["Creator"] = role("lambda", allow([PASS_ROLE, CREATE_INTERPRETER, START, INVOKE], "*"))
    assert outcomes(template)[CREATION] == "fail"


def test_each_verdict_has_a_reason_and_a_source_in_json_and_markdown() -> None:
    found = review_of(with_mode("SANDBOX"))
    listed = json.loads(to_json(found))["verdicts"]
    assert [(one["tool"], one["rule"]) for one in listed] == [(one.tool, one.id) for one in EXTERNAL_RULES]
    assert all(one["source"].startswith("https://") and one["reason"].endswith(".") for one in listed)
    assert "| AWS Security Hub | BedrockAgentCore.7 | fail |" in to_markdown(found)


@pytest.mark.parametrize(
    ("report", "problem"),
    [
        ("{", "is not JSON (Expecting property name enclosed in double quotes)"),
        ("[]", "has no list of pluginReports"),
        ('{"pluginReports": {}}', "has no list of pluginReports"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice in one mapping"),
        (" " * 2_000 + "{}", "is larger than 1,000 bytes"),
        (None, "is not a regular file"),
    ],
)
def test_an_unreadable_report_is_a_finding_and_the_review_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: str | None, problem: str
) -> None:
    monkeypatch.setattr("sandpiper.review.verdicts.nag_report.MAX_MANIFEST_BYTES", 1_000)
    (tmp_path / "manifest.json").write_text('{"version": "1", "artifacts": {}}')
    if report is None:
        (tmp_path / REPORT).mkdir()
    else:
        (tmp_path / REPORT).write_text(report)
    found = review([Target(tmp_path, "cdk.out")])
    (finding,) = found.open_findings
    assert (finding.rule_id, finding.location.file) == ("template-report", f"cdk.out/{REPORT}")
    assert finding.message == f"the review has no verdicts of rule packs: the report {problem}"
    assert found.verdicts == ()


def test_the_packs_of_cdk_nag_are_read_from_the_report_of_the_assembly(tmp_path: Path) -> None:
    construct = "app/Interpreter/ExecutionRole"
    template = secure()
    (tmp_path / "app.template.json").write_text(json.dumps(template))
    entry = [{"type": "aws:cdk:logicalId", "data": "ExecutionRole"}]
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111122223333/eu-west-1",
        "properties": {"templateFile": "app.template.json"},
        "metadata": {f"/{construct}/Resource": entry},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "1", "artifacts": {"app": stack}}))

    def finding(rule: str, path: str) -> dict[str, object]:
        return {"ruleName": rule, "violatingConstructs": [{"constructPath": path}]}

    iam5 = finding("AwsSolutions-IAM5[Resource::*]", f"{construct}/DefaultPolicy/Resource")
    reports: list[dict[str, object]] = [
        {"pluginName": "AwsSolutions", "violations": [iam5]},
        {"pluginName": "Serverless", "violations": [], "suppressedViolations": [iam5]},
        {"pluginName": "HIPAA.Security", "violations": [finding("HIPAA.Security-S3", "app/Bucket/Resource")]},
        {"pluginName": "PCI.DSS.321", "violations": [], "metadata": {"error": "failed"}},
        {"pluginName": "Sandpiper", "violations": [iam5]},
    ]
    (tmp_path / REPORT).write_text(json.dumps({"version": "1", "pluginReports": reports}))
    found = [one for one in review([Target(tmp_path, "")]).verdicts if one.tool == "cdk-nag"]
    assert [(one.rule, one.outcome.value, one.reason) for one in found] == [
        ("AwsSolutions", "fail", "Findings at the interpreter and its role: AwsSolutions-IAM5."),
        ("Serverless", "pass", "Its findings are accepted with a reason: AwsSolutions-IAM5."),
        ("HIPAA.Security", "pass", "It has no finding at the interpreter and its role."),
        ("PCI.DSS.321", "does not apply", "The pack ended with an error."),
    ]
