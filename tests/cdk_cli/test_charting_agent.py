"""The documented command synthesizes the charting agent's app without network access and credentials."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from tests.support.offline import run
from tests.support.project import PROJECT

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path


def _synth(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the documented command. Additional arguments override its arguments."""
    page = (PROJECT / "examples" / "charting_agent" / "README.md").read_text()
    (command,) = (line for line in page.splitlines() if line.startswith("cdk synth "))
    here = command.replace("build/charting-agent.out", str(tmp_path / "out"))
    return run([*shlex.split(here), *arguments], tmp_path)


def test_the_cli_synthesizes_the_app(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "main.py").write_text("")
    process = _synth(tmp_path, "-c", f"package={package}")
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "out" / "charting-agent.template.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-c", "account="), "account or region is missing; allowed: credentials, or -c account=ID"),
        (("-c", "package=nowhere"), "nowhere has no main.py; run examples/charting_agent/package first"),
    ],
    ids=["account", "package"],
)
def test_a_missing_setting_is_reported_without_a_traceback(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    process = _synth(tmp_path, *arguments)
    assert process.returncode == 1
    assert process.stderr.startswith(message)
    assert "Traceback" not in process.stderr
