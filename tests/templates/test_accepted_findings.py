"""Accepted findings are acknowledged at their resource. An accepted finding that does not occur fails synthesis."""

from __future__ import annotations

import json
from pathlib import Path

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_iam as iam

from sandpiper.environment import Environment, InvalidEnvironment, load
from sandpiper_constructs.principals import service_principal
from stacks.accepted_findings import acknowledge, require_used

POLICY = "stack/Role/DefaultPolicy/Resource"
WILDCARD = "AwsSolutions-IAM5[Resource::*]"


def _environment(folder: Path, finding: str, at: str, expires: str = "2999-06-30") -> tuple[Environment, Path]:
    file = folder / "dev.yaml"
    file.write_text(f"""\
name: dev
account: "111122223333"
region: eu-west-1
owner: platform team
interpreters:
  sandbox:
accepted_findings:
- finding: {finding}
  at: {at}
  reason: Nothing narrower is possible
  owner: platform team
  expires: {expires}
""")
    return load(file), file


def _app(folder: Path) -> cdk.App:
    """Creates an app with one finding: a wildcard in a role's policy."""
    app = cdk.App(outdir=str(folder / "out"), builtin_cloud_formation_validation=False)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    role = iam.Role(cdk.Stack(app, "stack"), "Role", assumed_by=service_principal("lambda"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    return app


def test_report_lists_accepted_finding_with_reason_owner_and_expiry(tmp_path: Path) -> None:
    environment, file = _environment(tmp_path, WILDCARD, POLICY)
    app = _app(tmp_path)
    acknowledge(app, environment, file)
    assembly = Path(app.synth().directory)
    require_used(assembly, environment, file)
    report = json.loads((assembly / "validation-report.json").read_text())
    (finding,) = (one for plugin in report["pluginReports"] for one in plugin["suppressedViolations"])
    assert finding["acknowledgedAt"] == POLICY
    assert finding["reason"] == "Nothing narrower is possible (accepted by platform team, until 2999-06-30)"


def test_unknown_resource_fails_before_synthesis(tmp_path: Path) -> None:
    environment, file = _environment(tmp_path, WILDCARD, "stack/Rule/DefaultPolicy")
    with pytest.raises(InvalidEnvironment) as error:
        acknowledge(_app(tmp_path), environment, file)
    (problem,) = error.value.issues
    assert (problem.line, problem.at) == (9, "accepted_findings[0].at")
    assert problem.problem == "is 'stack/Rule/DefaultPolicy', which is not a construct of this app"


def test_finding_that_does_not_occur_fails_after_synthesis(tmp_path: Path) -> None:
    environment, file = _environment(tmp_path, "AwsSolutions-S1", POLICY)
    app = _app(tmp_path)
    acknowledge(app, environment, file)
    cdk.Validations.of(app.node.find_child("stack").node.find_child("Role")).acknowledge(
        cdk.Acknowledgment(id=f"AwsSolutions::{WILDCARD}", reason="for the test")
    )
    with pytest.raises(InvalidEnvironment) as error:
        require_used(Path(app.synth().directory), environment, file)
    (problem,) = error.value.issues
    assert (problem.line, problem.at) == (8, "accepted_findings[0].finding")
    assert problem.problem == f"is 'AwsSolutions-S1', which does not occur at {POLICY}"


def test_expired_finding_is_an_error_of_its_stack_and_stays_acknowledged(tmp_path: Path) -> None:
    environment, file = _environment(tmp_path, WILDCARD, POLICY, expires="2020-06-30")
    app = _app(tmp_path)
    acknowledge(app, environment, file)
    assembly = Path(app.synth().directory)  # a finding that is not acknowledged would fail the synthesis of all stacks
    require_used(assembly, environment, file)
    errors = (assembly / "stack.metadata.json").read_text()
    assert f"accepted_findings[0], {WILDCARD}, expired on 2020-06-30 (owner: platform team): renew it" in errors
