"""The schedule of the test run names existing modules."""

from __future__ import annotations

from tests.support.project import PROJECT
from tests.support.schedule import INTERNET, LONGEST_FIRST, group_of, order_of

MODULES = [path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tests").rglob("test_*.py")]


def test_scheduled_modules_exist() -> None:
    assert set(LONGEST_FIRST) <= {group_of(module) for module in MODULES}
    assert {f"tests/security/{module}.py" for module in INTERNET} <= set(MODULES)


def test_modules_that_share_a_synthesized_app_or_the_simulated_internet_are_one_group() -> None:
    assert group_of("tests/templates/test_iam.py") == group_of("tests/templates/test_plan.py")
    assert group_of("tests/security/test_network.py") == group_of("tests/security/test_name_server.py")


def test_the_longest_modules_start_first_and_those_without_a_sandbox_last() -> None:
    local, other, unit = (order_of(f"tests/{each}.py") for each in ("local/test_cli", "local/test_pip", "unit/test_x"))
    assert local < other < unit


def test_modules_with_the_same_name_in_two_folders_are_two_groups() -> None:
    assert group_of("tests/local/test_plan.py") != group_of("tests/templates/test_plan.py")
