"""Import rules that import-linter cannot express: packages without dependencies, and the imports of `app.py`."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.support.project import PROJECT


@pytest.mark.parametrize(("folder", "package"), [("contract", "sandpiper_contract"), ("policy", "sandpiper_policy")])
def test_contract_and_policy_import_the_standard_library_only(folder: str, package: str) -> None:
    modules = [path.stem for path in (PROJECT / folder / package).glob("[!_]*.py")]
    statements = [f"import sys; sys.path.insert(0, {str(PROJECT / folder)!r})"]
    statements += [f"import {package}.{module}" for module in modules]
    completed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", "\n".join(statements)], capture_output=True, text=True
    )
    assert (len(modules) > 4, completed.returncode, completed.stderr) == (True, 0, "")


def test_the_app_imports_the_environment_the_stacks_and_the_cdk_only() -> None:
    tree = ast.parse((PROJECT / "app.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    outside_standard_library = {
        name for name in imported if name and name.partition(".")[0] not in sys.stdlib_module_names
    }
    assert outside_standard_library == {
        "aws_cdk",
        "cdk_nag",
        "sandpiper.environment",
        "stacks.accepted_findings",
        "stacks.environment_stacks",
    }
