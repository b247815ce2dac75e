"""What the import rules of `pyproject.toml` cannot say: the leaves need nothing, and the app's imports are few."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("folder", "package"), [("contract", "sandpiper_contract"), ("policy", "sandpiper_policy")])
def test_a_leaf_needs_the_standard_library_alone(folder: str, package: str) -> None:
    modules = [path.stem for path in (PROJECT / folder / package).glob("[!_]*.py")]
    statements = [f"import sys; sys.path.insert(0, {str(PROJECT / folder)!r})"]
    statements += [f"import {package}.{module}" for module in modules]
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", "\n".join(statements)], capture_output=True, text=True)
    assert (len(modules) > 4, ran.returncode, ran.stderr) == (True, 0, "")


def test_the_app_knows_the_environment_the_stacks_and_the_cdk() -> None:
    tree = ast.parse((PROJECT / "app.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours_and_others = {name for name in imported if name and name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours_and_others == {
        "aws_cdk",
        "cdk_nag",
        "sandpiper.environment",
        "stacks.accepted_findings",
        "stacks.environment_stacks",
    }
