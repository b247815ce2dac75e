"""`cdk synth` as people run it: the real CLI, without a network, credentials or anything in the home directory."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.templates.conftest import ROOT

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


def _report(home: Path) -> dict[str, dict[str, Any]]:
    report = json.loads((home / "out" / "validation-report.json").read_text())
    return {plugin["pluginName"]: plugin for plugin in report["pluginReports"]}


@pytest.mark.parametrize("environment", ["dev", "local", "prod"])
def test_synthesis_needs_no_network_and_no_credentials_and_explains_every_finding(
    tmp_path: Path, environment: str
) -> None:
    done = _synth(tmp_path, "-c", f"environment={environment}")
    assert done.returncode == 0, done.stderr
    templates = {path.name for path in (tmp_path / "out").glob("*.template.json")}
    assert f"sandpiper-{environment}-storage.template.json" in templates
    assert "missing" not in json.loads((tmp_path / "out" / "manifest.json").read_text()), "what AWS was to be asked"
    nag = _report(tmp_path)["AwsSolutions"]
    assert nag["conclusion"] == "success"
    assert nag["violations"] == []
    for finding in nag["suppressedViolations"]:
        assert len(finding["reason"]) > REASON_CHARACTERS, finding["ruleName"]
        (construct,) = finding["violatingConstructs"]
        at = finding["acknowledgedAt"]
        assert construct["constructPath"].startswith(f"{at}/"), "acknowledged at its own resource"
        assert at.count("/") >= 2, "not for a whole stack"


def test_cloudformation_finds_nothing_wrong_when_its_validation_is_on(tmp_path: Path) -> None:
    done = _synth(tmp_path, "-c", "environment=dev", CDK_VALIDATION="true")
    assert done.returncode == 0, done.stderr
    assert "CloudFormation Validate" not in _report(tmp_path), "it reports only when it finds something"


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
