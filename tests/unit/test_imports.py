"""What the import rules of `pyproject.toml` cannot say: the contract needs nothing, and the app's imports are few."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_the_contract_needs_the_standard_library_alone() -> None:
    modules = [path.stem for path in (PROJECT / "contract" / "sandpiper_contract").glob("[!_]*.py")]
    statements = [f"import sys; sys.path.insert(0, {str(PROJECT / 'contract')!r})"]
    statements += [f"import sandpiper_contract.{module}" for module in modules]
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", "\n".join(statements)], capture_output=True, text=True)
    assert (len(modules) > 4, ran.returncode, ran.stderr) == (True, 0, "")


def test_the_app_knows_the_environment_the_stacks_and_the_cdk() -> None:
    tree = ast.parse((PROJECT / "app.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours_and_others = {name for name in imported if name and name.partition(".")[0] not in sys.stdlib_module_names}
    assert ours_and_others == {"aws_cdk", "cdk_nag", "sandpiper.environment", "stacks.environment_stacks"}
