"""`cdk synth` as people run it: the real CLI, without a network, credentials or anything in the home directory.

What every environment's report has to say is read from a synthesis in the test's process.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment import load
from stacks.accepted_findings import acknowledge
from stacks.environment_stacks import add_stacks
from tests.templates.conftest import ROOT, new_app

if TYPE_CHECKING:
    from pathlib import Path

REASON_CHARACTERS = 40
"""A reason shorter than this explains nothing."""


def _synth(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs the CLI in a network namespace that has not even a loopback."""
    no_network = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    # In an ordinary user's namespace nobody owns /tmp, and jsii keeps no cache in a folder of nobody's.
    without_cache = {"JSII_RUNTIME_PACKAGE_CACHE": "disabled"}
    path = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
    return subprocess.run(
        [*no_network, "node_modules/.bin/cdk", "synth", "--quiet", "--output", str(home / "out"), *arguments],
        cwd=ROOT,
        env={"PATH": path, "HOME": str(home), "NO_COLOR": "1", **without_cache, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _report(assembly: Path) -> dict[str, dict[str, Any]]:
    report = json.loads((assembly / "validation-report.json").read_text())
    return {plugin["pluginName"]: plugin for plugin in report["pluginReports"]}


def test_synthesis_needs_no_network_and_no_credentials_and_cloudformation_finds_nothing_wrong(tmp_path: Path) -> None:
    done = _synth(tmp_path, "-c", "environment=dev", CDK_VALIDATION="true")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "sandpiper-dev-storage.template.json").is_file()
    report = _report(tmp_path / "out")
    assert report["AwsSolutions"]["conclusion"] == "success"
    assert "CloudFormation Validate" not in report, "it reports only when it finds something"


@pytest.mark.parametrize("environment", ["dev", "local", "prod"])
def test_every_finding_is_explained_at_its_own_resource(tmp_path: Path, environment: str) -> None:
    import aws_cdk as cdk
    import cdk_nag

    app, file = new_app(tmp_path), ROOT / "environments" / f"{environment}.yaml"
    add_stacks(app, load(file))
    acknowledge(app, load(file), file)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    assert "missing" not in json.loads((tmp_path / "manifest.json").read_text()), "what AWS was to be asked"
    nag = _report(tmp_path)["AwsSolutions"]
    assert nag["conclusion"] == "success"
    assert nag["violations"] == []
    for finding in nag["suppressedViolations"]:
        assert len(finding["reason"]) > REASON_CHARACTERS, finding["ruleName"]
        (construct,) = finding["violatingConstructs"]
        at = finding["acknowledgedAt"]
        assert construct["constructPath"].startswith(f"{at}/"), "acknowledged at its own resource"
        assert at.count("/") >= 2, "not for a whole stack"


def test_a_bad_environment_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    done = _synth(tmp_path, "-c", "environment=nowhere")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    there = ", ".join(sorted(path.name for path in (ROOT / "environments").glob("*.yaml")))
    assert lines[0] == (
        f"environments/nowhere.yaml: the file does not exist; allowed: one of {there}; "
        "choose one of them, or write one with `sandpiper init`"
    )
    assert "Traceback" not in done.stderr
    assert "app.py: Subprocess exited with error 1" in lines[1]
    assert len(lines) == 2
