"""The simulation of batches, `sandpiper capacity`, and docs/scale.md."""

from __future__ import annotations

import json
import runpy
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.capacity import scale
from sandpiper.capacity.cost import cost_of
from sandpiper.capacity.estimate import estimate
from sandpiper.capacity.gains import gains, limiting, sufficient_concurrency
from sandpiper.capacity.model import Job, Limits, Scenario
from sandpiper.environment.batch_limits import CALLS_SHARE
from tests.support.cli import sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

SHORT = Job(program_seconds=0.1, files_per_item=0, bytes_per_item=0)
ALLOWED_CALLS = Limits().calls_per_second * CALLS_SHARE


def scenario(items: int = 2_000, job: Job = SHORT, **limits: Any) -> Scenario:
    return Scenario(items=items, job=job, limits=Limits(**limits))


@pytest.mark.parametrize(
    ("job", "calls"),
    [
        (replace(SHORT, collects_files=False), 2),
        (SHORT, 3),
        (replace(SHORT, files_per_item=1, bytes_per_item=3 * 1024 * 1024), 3),
        (replace(SHORT, files_per_item=1, bytes_per_item=3 * 1024 * 1024 + 1), 4),
    ],
)
def test_an_item_needs_two_to_four_calls_by_its_files(job: Job, calls: int) -> None:
    counts = estimate(scenario(50, job)).counts
    assert (counts.calls, counts.starts, counts.stops) == (50 * calls, 50, 50)


@pytest.mark.parametrize(("items", "size", "children"), [(10, 5, 2), (11, 5, 3), (1, 5, 1)])
def test_items_that_share_a_session_have_one_child_execution(items: int, size: int, children: int) -> None:
    figures = estimate(scenario(items, replace(SHORT, items_per_session=size)))
    counts = figures.counts
    assert (counts.items, counts.children, counts.starts) == (items, children, children)
    assert (figures.transitions, figures.events) == (5 + 3 * children, 20 + 11 * children)


def test_the_input_of_a_child_execution_limits_its_items() -> None:
    job = replace(SHORT, items_per_session=1_000, item_bytes=60_000)
    assert job.items_per_child == 3
    assert estimate(scenario(7, job)).counts.children == 3


def test_shared_sessions_stay_below_the_share_of_the_quota() -> None:
    """A shared session is paced from its second call on."""
    job = replace(SHORT, items_per_session=20)
    rates = [estimate(scenario(4_000, job, reserved_concurrency=each)).items_per_second * 3 for each in (2, 8, 100)]
    assert rates == sorted(rates)
    assert 0.9 * ALLOWED_CALLS < rates[-1] < 1.05 * ALLOWED_CALLS


def test_throttled_calls_are_repeated_until_every_item_has_ended() -> None:
    figures = estimate(scenario(3_000, reserved_concurrency=600))
    assert figures.throttled_percent > 20
    assert figures.counts.retries > 0
    counts = figures.counts
    assert (counts.items, counts.calls >= 3 * 3_000) == (3_000, True)
    assert counts.starts == counts.stops
    assert figures.items_per_second * 3 < 30


def test_a_function_that_has_no_time_for_the_next_item_is_invoked_again() -> None:
    job = Job(program_seconds=200, timeout_seconds=300, items_per_session=10)
    figures = estimate(scenario(20, job))
    counts = figures.counts
    assert (counts.children, counts.invocations, counts.starts) == (2, 8, 8)  # 3, 3, 3 and 1 item
    assert figures.transitions == 5 + 2 * (3 + 3 * 2)
    assert counts.function_seconds / counts.invocations < 900


def test_the_same_batch_has_the_same_figures() -> None:
    one, other = scenario(300), replace(scenario(300), items=300)
    assert estimate(one) == estimate(other)


@pytest.mark.parametrize("size", [None, 10])
def test_an_extrapolated_batch_takes_as_long_as_one_that_is_simulated_completely(size: int | None) -> None:
    batch = scenario(20_000, replace(SHORT, items_per_session=size))
    full, extrapolated = estimate(batch, min_items=20_000), estimate(batch)
    assert (full.simulated_items, extrapolated.simulated_items) == (20_000, 5_000)
    assert extrapolated.seconds == pytest.approx(full.seconds, rel=0.02)
    assert extrapolated.counts.session_seconds == pytest.approx(full.counts.session_seconds, rel=0.02)
    assert (extrapolated.counts.calls, extrapolated.transitions) == (full.counts.calls, full.transitions)


def test_two_regions_halve_the_duration_and_use_the_same() -> None:
    one, two = (estimate(scenario(4_000, regions=regions)) for regions in (1, 2))
    assert two.run_seconds == pytest.approx(one.run_seconds / 2, rel=0.03)
    assert two.counts.calls == one.counts.calls
    assert two.transitions == one.transitions + 5


def test_the_cost_is_that_of_the_counts_at_list_prices() -> None:
    batch = scenario(100, Job(program_seconds=36))
    figures = estimate(batch)
    cost = cost_of(batch, figures, vcpus=2, gb=4)
    assert cost.agentcore_cpu == pytest.approx(1 * 2 * 0.0895)  # 100 x 36 s = 1 h
    assert cost.agentcore_memory == pytest.approx(figures.counts.session_seconds / 3_600 * 4 * 0.00945)
    assert cost.step_functions == pytest.approx(305 * 0.000025)
    assert cost.s3 == pytest.approx(500 * 0.000005 + 200 * 0.0000004)
    assert cost.function == pytest.approx(figures.function_seconds * 0.5 * 0.0000133334 + 102 * 0.0000002)


def test_the_limiting_quota_is_the_one_whose_increase_gains_most() -> None:
    short, long = scenario(2_000, reserved_concurrency=75), scenario(500, Job(program_seconds=300))
    assert limiting(short, estimate(short)) == "calls_per_second"
    assert limiting(long, estimate(long)) == "concurrency"
    of_short, of_long = ({gain.change.key: gain.ratio for gain in gains(each)} for each in (short, long))
    assert of_short["calls_per_second"] > 1.3 > of_short["concurrency"]
    assert of_long["concurrency"] > 1.7 > 1.1 > of_long["calls_per_second"]
    assert of_short["transitions_per_second"] == pytest.approx(1, abs=0.01)


def test_the_proposed_concurrency_grows_with_the_program_and_stays_within_the_quotas() -> None:
    short, long = (scenario(job=Job(program_seconds=seconds)) for seconds in (1, 60))
    assert sufficient_concurrency(short) < sufficient_concurrency(long) <= 900
    assert sufficient_concurrency(scenario(job=Job(program_seconds=60), live_sessions=20)) == 10


def test_a_plan_of_the_command_line_needs_no_account(tmp_path: Path) -> None:
    profile = tmp_path / "job.yaml"
    profile.write_text("seconds: 3\nitems_per_session: 10\ncollect_files: false\n")
    chart = tmp_path / "chart.svg"
    variables = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    flags = ("--items", "2000", "--profile", profile, "--seconds", "2", "--concurrency", "25", "--out", chart)
    planned = sandpiper("capacity", *flags, "--json", variables=variables)
    assert planned.returncode == 0, planned.stderr
    found = json.loads(planned.stdout)
    assert (found["simulated"], found["items"], found["calls"], found["sessions"]) == (True, 2_000, 4_000, 200)
    assert (found["job"]["program_seconds"], found["limits"]["reserved_concurrency"]) == (2, 25)
    assert found["usd"]["total"] == pytest.approx(sum(found["usd"].values()) - found["usd"]["total"], abs=0.03)
    assert chart.read_text().startswith("<svg")
    text = sandpiper("capacity", *flags[:-2], variables=variables).stdout
    assert text.startswith("batch of 2,000 items, simulated\n  duration")
    assert "  limited by            reserved concurrency\n" in text


@pytest.mark.parametrize(("suffix", "beginning"), [("png", b"\x89PNG"), ("html", b"<!DOCTYPE html>")])
def test_a_chart_is_an_image_or_a_page_that_loads_nothing(tmp_path: Path, suffix: str, beginning: bytes) -> None:
    chart = tmp_path / f"chart.{suffix}"
    assert sandpiper("capacity", "--items", "10", "--concurrency", "10", "--out", chart).returncode == 0
    assert chart.read_bytes().lstrip().startswith(beginning)
    assert b"<script src" not in chart.read_bytes()
    assert b"<link" not in chart.read_bytes()


def test_the_quotas_of_an_environment_apply(tmp_path: Path) -> None:
    file = tmp_path / "capacity.yaml"
    file.write_text(
        textwrap.dedent("""\
            name: capacity
            account: "111122223333"
            region: eu-west-1
            owner: tests
            quotas: {calls_per_second: 60, live_sessions: 500}
            tenants:
              a:
                interpreters: {run: {}}
                workflows: {run-code: {}, run-batch: {}}
                session_function: {reserved_concurrency: 40, memory_mib: 1024}
              b:
                interpreters: {run: {}}
                workflows: {run-code: {}, run-batch: {}}
                session_function: {reserved_concurrency: 30}
              c:
                interpreters: {run: {}}
                session_function: {reserved_concurrency: 20}
            """)
    )
    planned = sandpiper("capacity", "--items", "50", "-e", file, "--tenant", "a", "--live-sessions", "600", "--json")
    assert planned.returncode == 0, planned.stderr
    limits = json.loads(planned.stdout)["limits"]
    expected = {"calls_per_second": 60, "live_sessions": 600, "reserved_concurrency": 40, "other_sessions": 30}
    assert {name: limits[name] for name in expected} == expected
    assert limits["memory_mib"] == 1_024
    missing = sandpiper("capacity", "--items", "50", "-e", file)
    assert "allowed: a | b | c" in missing.stderr
    unknown = sandpiper("capacity", "--items", "50", "-e", file, "--tenant", "d")
    assert "error: --tenant is 'd'; allowed: a | b | c" in unknown.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--items", "0"], "--items is 0; allowed: a whole number from 1 to 10,000,000"),
        (["--items", "-5"], "--items is -5; allowed: a whole number from 1 to 10,000,000"),
        (["--items", "99999999999999999999"], "--items is 99999999999999999999; allowed: a whole number"),
        (["--items", "9", "--seconds", "nan"], "--seconds is nan; allowed: a number from 0 to 840"),
        (["--items", "9", "--seconds", "-1"], "--seconds is -1.0; allowed: a number from 0 to 840"),
        (["--items", "9", "--bytes", "-1"], "--bytes is -1; allowed: a whole number from 0 to 5,368,709,120"),
        (["--items", "9", "--items-per-session", "0"], "--items-per-session is 0; allowed: a whole number from 1 to"),
        (["--items", "9", "--memory-gb", "inf"], "--memory-gb is inf; allowed: a number from 0.01 to 8"),
        (["--items", "9", "--seconds", "9", "--timeout", "5"], "every item would time out; allowed: seconds up to 5"),
        (["--items", "9", "--regions", "0"], "--regions is 0; allowed: a whole number from 1 to 40"),
        (["--items", "9", "--out", "x.gif"], "--out is 'x.gif'; allowed: a file with the suffix .svg | .png | .html"),
        (["--items", "9", "--out", "none/x.svg"], "allowed: a file in an existing folder; create none"),
        (["--items", "9", "--item", "x.json"], "--item is used without --measure; allowed: both"),
        (["--items", "9", "--profile", "none.yaml"], "none.yaml: No such file or directory; allowed: a file with"),
        (["--items", "9", "--measure", "none.py"], "none.py: No such file or directory; allowed: a file that exists"),
        (["--items", "9", "-e", "none"], "none.yaml"),
    ],
)
def test_an_invalid_flag_is_one_message(tmp_path: Path, flags: list[str], message: str) -> None:
    refused = sandpiper("capacity", *flags, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seconds: fast", "seconds is 'fast'; allowed: a number from 0 to 840"),
        ("seconds: true", "seconds is True; allowed: a number from 0 to 840"),
        ("files: 1.5", "files is 1.5; allowed: a whole number from 0 to 1,000"),
        ("items: 5", "'items' is unknown; allowed: seconds | files"),
        ("collect_files: 1", "collect_files is 1; allowed: true | false"),
        ("[1]", "is not a mapping; allowed: seconds | files"),
        ("a: [", "is neither YAML nor JSON: "),
        ("\x00", "is neither YAML nor JSON: "),
        ("#" * 70_000, "is too large; allowed: 65,536 bytes"),
    ],
)
def test_an_invalid_profile_is_one_message(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(content)
    refused = sandpiper("capacity", "--items", "9", "--profile", file)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert message in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_batch_that_would_time_out_is_a_warning() -> None:
    planned = sandpiper("capacity", "--items", "10000000", "--seconds", "60", "--concurrency", "25")
    assert planned.returncode == 0
    assert "warning: the batch takes longer than 14 days, after which it times out" in planned.stderr


def test_tables_of_the_scale_page_are_up_to_date() -> None:
    """The other tables need many simulations. They have the same code, and change with these."""
    tool = runpy.run_path(str(PROJECT / "tools" / "scale_page.py"))
    page = (PROJECT / "docs" / "scale.md").read_text()
    remedy = "run: python tools/scale_page.py"
    for name in ("_volumes", "_costs", "_usage"):
        assert tool[name](scale.volumes()) in page, remedy
    assert tool["_durations"]("Program writes", scale.by_files()) in page, remedy
    assert tool["_service_times"]() in page, remedy
    prose = (PROJECT / "tools" / "scale_page.txt").read_text().split("\n\n")
    for paragraph in (each for each in prose if "{{" not in each):
        assert tool["_wrapped"](paragraph.strip()) in page, remedy


def test_the_scale_page_states_that_its_plots_are_simulated() -> None:
    page = (PROJECT / "docs" / "scale.md").read_text()
    plots = sorted((PROJECT / "docs" / "images").glob("scale-*.svg"))
    assert len(plots) == 2
    for plot in plots:
        assert f"(images/{plot.name})" in page
        svg = plot.read_text()
        assert "simulated" in svg
        assert 'fill="white"' in svg
