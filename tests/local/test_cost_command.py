"""`sandpiper cost` on the metrics of a run, and the commands of docs/costs.md."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from sandpiper.cli import app
from tests.support.cli import sandpiper
from tests.support.project import PROJECT
from tests.support.target import ON_AWS, TENANT

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="the metrics of a run appear later on AWS")

PAGE = (PROJECT / "docs" / "costs.md").read_text()
COMMANDS = [line.split(" ", 2)[2] for line in re.findall(r"^sandpiper cost .*$", PAGE, re.MULTILINE)]
PATIENCE_SECONDS = 30


def cost(*options: str) -> Any:
    return json.loads(sandpiper("cost", "--json", *options).stdout)


@pytest.fixture(scope="module")
def usage(deployed: object) -> Any:  # noqa: ARG001
    """Runs a program, and returns the usage in its result when its metrics have arrived."""
    before = cost()["totalUsd"]
    run = sandpiper("run", "-", "--json", text="print(1)")
    used = json.loads(run.stdout)["usage"]
    until = time.monotonic() + PATIENCE_SECONDS
    while cost()["totalUsd"] - before < used["estimatedUsd"] - 1e-6:
        assert time.monotonic() < until
        time.sleep(0.2)
    return used


def test_a_run_states_its_cost_and_its_metrics_have_it(usage: Any) -> None:
    assert usage["calls"] >= 3
    assert 0 < usage["sessionSeconds"] < PATIENCE_SECONDS
    assert 0.000025 < usage["estimatedUsd"] < 0.01
    found = cost()
    (line,) = [line for line in found["costs"] if line["tenant"] == TENANT]
    assert line["estimatedUsd"] >= usage["estimatedUsd"] - 1e-6
    assert 0 < line["estimatedSessionUsd"] < line["estimatedUsd"]
    assert found["totalUsd"] == pytest.approx(sum(each["estimatedUsd"] for each in found["costs"]), abs=1e-5)


def test_measured_usage_and_its_difference_are_shown(usage: Any) -> None:
    assert usage
    (line,) = [line for line in cost()["costs"] if line["tenant"] == TENANT]
    assert line["measuredSessionUsd"] > 0
    assert line["differenceUsd"] == pytest.approx(line["measuredSessionUsd"] - line["estimatedSessionUsd"], abs=2e-6)


def test_costs_by_interpreter_and_by_workflow_add_up(usage: Any, product: Product) -> None:
    assert usage
    total = cost()["totalUsd"]
    by_interpreter = cost("--by", "interpreter")["costs"]
    assert {line["name"] for line in by_interpreter} <= set(product.deployment.interpreters)
    by_workflow = cost("--by", "workflow")
    assert "run-code" in {line["name"] for line in by_workflow["costs"]}
    assert by_workflow["totalUsd"] <= total + 1e-5
    assert all(line["measuredSessionUsd"] is None for line in by_workflow["costs"])


def test_costs_are_printed_as_a_table_and_as_csv(usage: Any) -> None:
    assert usage
    table = sandpiper("cost").stdout.splitlines()
    assert table[0].split() == ["tenant", "estimate", "of", "it", "AgentCore", "AgentCore", "measured", "difference"]
    assert (table[1].split()[0], table[-1].split()[0]) == (TENANT, "total")
    (row, *_) = csv.DictReader(io.StringIO(sandpiper("cost", "--csv").stdout))
    assert (row["tenant"], float(row["estimatedUsd"]) > 0) == (TENANT, True)


def test_the_cost_of_a_run_is_that_of_its_usage(usage: Any, product: Product) -> None:
    (run, *_) = json.loads(sandpiper("runs", "list", "--json", "--limit", "1").stdout)
    assert run["estimatedUsd"] == pytest.approx(usage["estimatedUsd"], abs=1e-6)
    assert product.deployment.run_code_arn


@pytest.mark.usefixtures("deployed")
def test_an_environment_without_data_says_so() -> None:
    found = sandpiper("cost", "-e", "quiet")
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr.strip() == "no data: no run of quiet has published its cost in the last 7 days"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--days", "15"), "error: --days is 15; allowed: 1 to 14"),
        (("--days", "0"), "error: --days is 0; allowed: 1 to 14"),
        (("--csv", "--json"), "error: --csv and --json are set; allowed: one of them"),
    ],
)
def test_invalid_options_are_one_message(options: tuple[str, ...], message: str) -> None:
    found = sandpiper("cost", *options)
    assert (found.returncode, found.stderr.strip()) == (2, message)


def test_the_commands_and_options_of_the_page_exist() -> None:
    command: Any = get_command(app)
    shown = command.commands["cost"]
    for text in COMMANDS:
        shown.make_context("cost", shlex.split(text))
    assert len(COMMANDS) == 4
    assert {option for parameter in shown.params for option in parameter.opts} == set(re.findall(r"`(-[-a-z]+)`", PAGE))
