"""Runs the commands of the README and of the documentation pages unchanged."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from tests.support.checkout import run
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


def commands(heading: str, page: str = "README.md") -> str:
    """Returns the first block of shell commands below a heading."""
    section = (PROJECT / page).read_text().partition(f"# {heading}\n")[2]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


def test_your_own_code_commands_save_the_chart(checkout: Path) -> None:
    process = run(checkout, commands("Your own code"))
    assert "Chart saved" in process.stdout
    assert (checkout / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert process.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_agent_tools_commands_print_their_results(checkout: Path) -> None:
    process = run(checkout, commands("Tools for an agent", "docs/agent-skill.md"))
    assert '"stdout": "39"' in process.stdout
    assert process.stdout.count('"path": "code-interpreter/sales.png"') == 3
    assert "notSaved" in process.stdout
    assert process.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_your_own_account_command_synthesizes_the_templates(checkout: Path) -> None:
    command = commands("Your own account").splitlines()[0]
    path = f"{checkout}/.venv/bin:{checkout}/node_modules/.bin:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.run(
        ["bash", "-euc", command], cwd=checkout, env={**environment, "PATH": path}, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    assert (checkout / "cdk.out" / "sandpiper-dev-analytics.template.json").is_file()
