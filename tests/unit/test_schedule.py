"""The schedule of the test run names existing modules."""

from __future__ import annotations

from tests.support.project import PROJECT
from tests.support.schedule import GROUPS, INTERNET, LONGEST_FIRST, group_of, order_of

MODULES = {path.stem for path in (PROJECT / "tests").rglob("test_*.py")}


def test_scheduled_modules_exist() -> None:
    named = {module for modules in GROUPS.values() for module in modules} | set(INTERNET) | set(LONGEST_FIRST)
    assert named - MODULES == {"templates"}


def test_users_of_a_shared_fixture_are_one_group_and_start_first() -> None:
    assert group_of("tests/local/test_cli.py") == group_of("tests/local/test_iam.py") == "deployed"
    assert order_of("tests/local/test_cli.py") < order_of("tests/local/test_status.py") < order_of("tests/unit/x.py")


def test_modules_with_the_same_name_in_two_folders_are_two_groups() -> None:
    assert group_of("tests/local/test_plan.py") != group_of("tests/templates/test_plan.py")
