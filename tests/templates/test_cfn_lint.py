"""Every template is valid under the CloudFormation schemas of its Region, as checked by cfn-lint."""

from __future__ import annotations

import functools
import os
import runpy
from typing import TYPE_CHECKING

import aws_cdk as cdk
import cdk_nag
import pytest

from tests.support import charting_agent, private_network
from tests.support.account import REGION
from tests.support.assemblies import new_app
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cfnlint.match import Match  # pyright: ignore[reportMissingTypeStubs]

    from tests.support.assemblies import Assembly

IGNORED = {
    "W3005": "the CDK adds a dependency on a role in addition to its policies",
    "W3010": "zones are listed in the environment file, because synthesis makes no lookups",
}
WORKFLOWS = PROJECT / "examples" / "workflows"


@functools.cache
def linter(region: str) -> Callable[[str], Iterator[Match]]:
    """Returns a function that runs `cfn-lint --regions REGION FILE` in this process, which loads the rules once."""
    from cfnlint.config import ConfigMixIn  # pyright: ignore[reportMissingTypeStubs]
    from cfnlint.runner import Runner  # pyright: ignore[reportMissingTypeStubs]
    from cfnlint.runner.template import run_template_by_file_path  # pyright: ignore[reportMissingTypeStubs]

    runner = Runner(ConfigMixIn([], regions=[region], ignore_checks=list(IGNORED)))
    return lambda file: run_template_by_file_path(file, runner.config, runner.rules, ignore_bad_template=False)


def lint_assembly(directory: Path, region: str) -> list[str]:
    """Returns the cfn-lint messages of all templates in a cloud assembly, which must contain at least one."""
    templates = sorted(map(str, directory.glob("*.template.json")))
    assert templates
    return [
        f"{template}:{match.linenumber}: {match.rule.id} {match.message}"
        for template in templates
        for match in linter(region)(template)
    ]


@pytest.mark.parametrize("environment", [file.stem for file in (PROJECT / "environments").glob("*.yaml")])
def test_templates_of_environments_are_valid(assemblies: dict[str, Assembly], environment: str) -> None:
    assembly = assemblies[environment]
    assert lint_assembly(assembly.directory, assembly.region) == []


def test_templates_of_an_environment_with_a_network_are_valid(tmp_path: Path) -> None:
    assembly = private_network.synthesized(tmp_path / "private")
    assert "sandpiper-private-network" in assembly.templates
    assert lint_assembly(assembly.directory, assembly.region) == []


def test_template_of_the_charting_agent_is_valid(tmp_path: Path) -> None:
    assert lint_assembly(charting_agent.synthesize(tmp_path).directory, REGION) == []


def test_template_of_the_workflow_examples_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(WORKFLOWS)
    app = new_app(tmp_path)
    runpy.run_path(str(WORKFLOWS / "app.py"))["WorkflowExamples"](app)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    assert lint_assembly(tmp_path, REGION) == []


def test_the_ten_line_app_is_synthesized_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AWS_", "CDK_")):
            monkeypatch.delenv(name)
    context = {"aws:cdk:disable-asset-staging": True}
    app = cdk.App(outdir=str(tmp_path), context=context, builtin_cloud_formation_validation=False)
    monkeypatch.setattr(cdk, "App", lambda: app)
    runpy.run_path(str(PROJECT / "examples" / "ten_line_app" / "app.py"))
    assert lint_assembly(tmp_path, REGION) == []


def test_an_invalid_template_is_reported(tmp_path: Path) -> None:
    wrong = '{"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketNames": "a"}}}}'
    (tmp_path / "wrong.template.json").write_text(wrong)
    (message,) = lint_assembly(tmp_path, REGION)
    assert "BucketNames" in message
