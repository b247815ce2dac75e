"""The review runs during synthesis: an open finding of high severity fails it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support.assemblies import new_app

if TYPE_CHECKING:
    from pathlib import Path


FINDING = "Sandpiper::Sandpiper-trust-everyone"


def synthesize(folder: Path, **acknowledged: str) -> None:
    """Synthesizes a role that trusts every account, with the plugin."""
    import aws_cdk as cdk
    from aws_cdk import aws_iam as iam

    from stacks.review_plugin import ReviewPlugin

    app = new_app(folder)
    stack = cdk.Stack(app, "app", env=cdk.Environment(account="111122223333", region="eu-west-1"))
    role = iam.Role(stack, "Role", assumed_by=cast("iam.IPrincipal", iam.ArnPrincipal("*")))
    for reason in acknowledged.values():
        cdk.Validations.of(role).acknowledge(cdk.Acknowledgment(id=FINDING, reason=reason))
    cdk.Validations.of(app).add_plugins(ReviewPlugin())
    app.synth()


def report(folder: Path) -> dict[str, Any]:
    """Returns the report of the plugin."""
    content = json.loads((folder / "validation-report.json").read_text())
    (found,) = (plugin for plugin in content["pluginReports"] if plugin["pluginName"] == "Sandpiper")
    return found


def test_an_open_finding_of_high_severity_fails_synthesis(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the role trusts every principal"):
        synthesize(tmp_path)
    (violation,) = report(tmp_path)["violations"]
    assert violation["ruleName"] == "Sandpiper-trust-everyone"
    assert violation["violatingConstructs"][0]["constructPath"] == "app/Role/Resource"


def test_an_accepted_finding_is_listed_with_its_reason(tmp_path: Path) -> None:
    synthesize(tmp_path, reason="A test (accepted by the tests, until 2999-12-31)")
    (suppressed,) = report(tmp_path)["suppressedViolations"]
    assert suppressed["reason"] == "A test (accepted by the tests, until 2999-12-31)"


def test_an_acceptance_without_an_end_does_not_accept_a_finding_of_high_severity(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the role trusts every principal"):
        synthesize(tmp_path, reason="A test (accepted by the tests)")
    (violation,) = report(tmp_path)["violations"]
    assert violation["ruleName"] == "Sandpiper-exceptions-complete"
