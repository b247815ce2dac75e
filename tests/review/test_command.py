"""`sandpiper review`: targets, formats, exit codes and errors."""

from __future__ import annotations

import json
import runpy
from typing import TYPE_CHECKING

import pytest

from tests.review.rule_cases import FAILING
from tests.support.cli import sandpiper
from tests.support.project import PROJECT
from tests.support.review_templates import secure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Returns the file of a template with a finding of low severity."""
    content = secure()
    FAILING["network-sandbox"][0](content)
    file = tmp_path / "app.json"
    file.write_text(json.dumps(content))
    return file


def test_the_exit_code_depends_on_the_severity_of_open_findings(template: Path) -> None:
    codes = [
        sandpiper("review", template, "--fail-on", severity).returncode
        for severity in ("high", "medium", "low", "never")
    ]
    assert codes == [0, 0, 2, 0]


def test_the_console_shows_the_finding_its_place_and_its_remedy(template: Path) -> None:
    shown = sandpiper("review", template)
    assert f"low network-sandbox\n  app/Interpreter ({template}:" in shown.stdout
    assert "remedy: Use VPC with an endpoint policy" in shown.stdout
    assert "0 high, 0 medium, 1 low, 0 accepted" in shown.stdout


def test_a_file_receives_the_report(template: Path, tmp_path: Path) -> None:
    out = tmp_path / "review.json"
    completed = sandpiper("review", template, "--format", "json", "--out", out)
    assert (completed.returncode, completed.stdout) == (0, "")
    content = json.loads(out.read_text())
    assert content["counts"] == {"high": 0, "medium": 0, "low": 1, "accepted": 0}
    assert content["findings"][0]["rule"] == "network-sandbox"
    assert sandpiper("review", template, "--format", "md").stdout.startswith("# Review of")


def test_errors_are_one_message_and_exit_with_1(template: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.json"
    text.write_text("not a template")
    cases = {
        (text,): f"error: {text}: is not a mapping; name a CloudFormation template",
        (tmp_path,): f"error: {tmp_path}: is not a cloud assembly: it has no manifest.json",
        ("unknown",): "error: environments/unknown.yaml: the file does not exist",
        ("missing.json",): "error: missing.json: does not exist",
        (template, "--out", text / "folder" / "file"): "cannot be written (Not a directory)",
        (template, "--fail-on", "sometimes"): "Invalid value for '--fail-on'",
    }
    for arguments, expected in cases.items():
        completed = sandpiper("review", *arguments)
        assert completed.returncode == 1, arguments
        assert expected in completed.stderr
        assert "Traceback" not in completed.stderr


def test_a_yaml_template_is_not_read_as_an_environment(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text("Resources:\n  Bucket:\n    Type: AWS::S3::Bucket\n")
    completed = sandpiper("review", file)
    assert completed.returncode == 2
    assert f"high data-private\n  app/Bucket ({file}:2)" in completed.stdout


def test_the_page_of_rules_is_generated() -> None:
    page = runpy.run_path(str(PROJECT / "tools" / "rules_page.py"))["page"]()
    assert page == (PROJECT / "docs" / "review-rules.md").read_text(), "run: python tools/rules_page.py"
