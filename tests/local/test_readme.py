"""The commands of the README and of the pages, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

PROJECT = Path(__file__).resolve().parents[2]
MADE_BY_COMMANDS = {"cdk.out", "out", ".sandpiper"}


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Path]:
    """The project under another path, so that what the commands write does not mix with what a person has there."""
    for entry in PROJECT.iterdir():
        if entry.name not in MADE_BY_COMMANDS:
            (tmp_path / entry.name).symlink_to(entry)
    yield tmp_path
    subprocess.run([PROJECT / ".venv/bin/sandpiper", "local", "stop"], cwd=tmp_path, capture_output=True)


def commands(heading: str, page: str = "README.md") -> str:
    """The first block of shell commands below a heading."""
    section = (PROJECT / page).read_text().partition(f"# {heading}\n")[2]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def run(checkout: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Types the commands into a shell, which stops at the first that fails."""
    environment = {**os.environ, "PWD": str(checkout)}
    ran = subprocess.run(
        ["bash", "-euxc", script], cwd=checkout, env=environment, capture_output=True, text=True, timeout=900
    )
    assert ran.returncode == 0, ran.stderr
    return ran


def test_your_own_code(checkout: Path) -> None:
    ran = run(checkout, commands("Your own code"))
    assert "Chart saved" in ran.stdout
    assert (checkout / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert ran.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_tools_for_an_agent(checkout: Path) -> None:
    ran = run(checkout, commands("Tools for an agent", "docs/agent-skill.md"))
    assert '"stdout": "39"' in ran.stdout
    assert ran.stdout.count('"path": "code-interpreter/sales.png"') == 3
    assert "notSaved" in ran.stdout
    assert ran.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_your_own_account_is_synthesised(checkout: Path) -> None:
    command = commands("Your own account").splitlines()[0]
    path = f"{checkout}/.venv/bin:{checkout}/node_modules/.bin:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ran = subprocess.run(
        ["bash", "-euc", command], cwd=checkout, env={**environment, "PATH": path}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert (checkout / "cdk.out" / "sandpiper-dev-analytics.template.json").is_file()
