"""Runs the commands of the README and of the pages, as they are written there."""

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
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_your_own_code(checkout: Path) -> None:
    done = run(checkout, commands("Your own code"))
    assert "Chart saved" in done.stdout
    assert (checkout / "out" / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert done.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_tools_for_an_agent(checkout: Path) -> None:
    done = run(checkout, commands("Tools for an agent", "docs/agent-skill.md"))
    assert '"stdout": "39"' in done.stdout
    assert done.stdout.count('"path": "code-interpreter/sales.png"') == 3
    assert "notSaved" in done.stdout
    assert done.stderr.endswith(f"stopped the embedded AWS in {checkout}/.sandpiper/local\n")


def test_your_own_account_is_synthesised(checkout: Path) -> None:
    command = commands("Your own account").splitlines()[0]
    path = f"{checkout}/.venv/bin:{checkout}/node_modules/.bin:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        ["bash", "-euc", command], cwd=checkout, env={**environment, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (checkout / "cdk.out" / "sandpiper-dev-analytics.template.json").is_file()
