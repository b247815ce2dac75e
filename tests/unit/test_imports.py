"""Import rules that import-linter cannot express: of packages without dependencies, `app.py` and the tests."""

from __future__ import annotations

import ast
import re
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
        "stacks.review_plugin",
    }


TEST_MODULE = re.compile(r"test_\w+|conftest")


def imported_test_modules(source: str) -> list[str]:
    """Returns the imported names in which a part is a test module or a `conftest`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return [name for name in names if any(map(TEST_MODULE.fullmatch, name.split(".")))]


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        ("import tests.local.test_status", ["tests.local.test_status"]),
        ("from tests.local.test_status import status", ["tests.local.test_status.status"]),
        ("from tests.local import test_status, conftest", ["tests.local.test_status", "tests.local.conftest"]),
        ("def f():\n    from .conftest import Product", [".conftest.Product"]),
        ("if TYPE_CHECKING:\n    from conftest import Product", ["conftest.Product"]),
        ("import pytest\nfrom tests.support.status import status", []),
    ],
)
def test_an_import_of_a_test_module_is_found(source: str, imported: list[str]) -> None:
    assert imported_test_modules(source) == imported


def test_test_modules_and_conftests_are_not_imported() -> None:
    modules = sorted((PROJECT / "tests").rglob("*.py"))
    modules = [path for path in modules if "node_modules" not in path.parts]
    found = {str(path.relative_to(PROJECT)): imported_test_modules(path.read_text()) for path in modules}
    assert len(found) > 100
    assert {path: names for path, names in found.items() if names} == {}, "move what they share to tests/support"
