"""`cdk synth` with the real CLI, without a network, credentials or files in the home directory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.support.offline import run
from tests.support.project import PROJECT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def _synth(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(["cdk", "synth", "--quiet", "--output", str(home / "out"), *arguments], home, **variables)


def test_synthesis_needs_no_network_or_credentials_and_passes_validation(tmp_path: Path) -> None:
    completed = _synth(tmp_path, "-c", "environment=dev", CDK_VALIDATION="true")
    assert completed.returncode == 0, completed.stderr
    assert (tmp_path / "out" / "sandpiper-dev-storage.template.json").is_file()
    report = json.loads((tmp_path / "out" / "validation-report.json").read_text())
    conclusions = {plugin["pluginName"]: plugin["conclusion"] for plugin in report["pluginReports"]}
    assert conclusions["AwsSolutions"] == "success"
    assert "CloudFormation Validate" not in conclusions, "the report has findings"


def test_expired_permission_stops_the_deployment_of_its_own_stack_alone(tmp_path: Path) -> None:
    public = "{network: PUBLIC, reason: pip, owner: me, expires: 2020-06-30}"
    file = tmp_path / "one.yaml"
    file.write_text(
        'name: one\naccount: "111122223333"\nregion: eu-west-1\nowner: me\ntenants:\n'
        f"  claims: {{interpreters: {{web: {public}}}}}\n  billing: {{interpreters: {{run: }}}}\n"
    )
    options = ["-c", f"environment={file}"]
    all_stacks = _synth(tmp_path, *options)
    assert all_stacks.returncode == 1
    assert "the approval of internet access expired on 2020-06-30 (owner: me): renew it, or remove" in all_stacks.stderr
    others = _synth(tmp_path, *options, "sandpiper-one-billing", "sandpiper-one-fleet")
    assert others.returncode == 0, others.stderr


def test_invalid_environment_is_reported_without_a_traceback(tmp_path: Path) -> None:
    completed = _synth(tmp_path, "-c", "environment=nowhere")
    assert completed.returncode == 1
    lines = completed.stderr.splitlines()
    existing = ", ".join(sorted(path.name for path in (PROJECT / "environments").glob("*.yaml")))
    assert lines[0] == (
        f"environments/nowhere.yaml: the file does not exist; allowed: one of {existing}; "
        "choose one of them, or write one with `sandpiper init`"
    )
    assert "Traceback" not in completed.stderr
    assert "app.py: Subprocess exited with error 1" in lines[1]
    assert len(lines) == 2
