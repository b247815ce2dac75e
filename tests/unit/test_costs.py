"""The maximum cost of an environment, against amounts that were calculated by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment import Environment, find_cost_warnings, find_warnings, load
from sandpiper.environment.errors import InvalidEnvironment
from sandpiper.plan.costs import maximum_costs
from sandpiper.plan.model import CostLimit, Costs
from sandpiper.plan.render_costs import cost_lines
from sandpiper_contract.prices import Prices
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

SESSION_HOUR = 0.2546
"""2 vCPU x 0.0895 USD + 8 GB x 0.00945 USD = 0.179 + 0.0756."""
FUNCTION_HOUR = 0.02400012
"""0.5 GB x 0.0000133334 USD x 3,600 s."""
CALLER = "arn:aws:iam::111122223333:role/agent"


def environment(tenants: dict[str, Any], **options: Any) -> Environment:
    head = {"name": "prod", "account": "111122223333", "region": "eu-west-1", "owner": "tests", "tenants": tenants}
    return Environment.model_validate_json(json.dumps({**head, **options}))


def tenant(reserved: int | None = None, interpreter: dict[str, Any] | None = None, **function: Any) -> dict[str, Any]:
    return {
        "interpreters": {"run": interpreter or {}},
        "session_function": {"reserved_concurrency": reserved, **function},
    }


def costs(*tenants: dict[str, Any], **options: Any) -> Costs:
    return maximum_costs(environment({f"t{number}": each for number, each in enumerate(tenants)}, **options))


def test_reserved_concurrency_limits_the_cost() -> None:
    found = costs(tenant(20))
    (one,) = found.tenants
    assert (one.sessions, one.limited_by) == (20, "reserved concurrency")
    # 20 x 0.2546 + 20 x 0.02400012
    assert one.hour_usd == pytest.approx(5.5720024)
    # x 730
    assert one.month_usd == pytest.approx(4_067.56, abs=0.005)
    assert (found.sessions, found.hour_usd, found.month_usd) == (20, one.hour_usd, one.month_usd)


def test_session_length_limits_the_cost_of_one_session_and_of_the_last_ones() -> None:
    (one,) = costs(tenant(20, {"session": {"longest_seconds": 1_800}})).tenants
    assert one.session_usd == pytest.approx(0.1273)
    assert one.live_sessions_usd == pytest.approx(2.546)
    (default,) = costs(tenant(20)).tenants
    assert (default.longest_session_seconds, default.session_usd) == (3_600, pytest.approx(0.2546))
    (longest,) = costs(tenant(20, {"session": {"longest_seconds": 28_800}})).tenants
    assert (longest.session_usd, longest.hour_usd) == (pytest.approx(2.0368), pytest.approx(default.hour_usd))


def test_architecture_and_memory_of_the_function_count() -> None:
    (one,) = costs(tenant(10, memory_mib=1_024, architecture="x86_64")).tenants
    # 10 x 0.2546 + 10 x 1 GB x 0.0000166667 x 3,600
    assert one.hour_usd == pytest.approx(2.546 + 0.6000012)


def test_without_a_reservation_the_rest_of_the_account_is_the_limit() -> None:
    quotas = {"functions_at_once": 600, "live_sessions": 1_000}
    found = costs(tenant(100), tenant(), tenant(), quotas=quotas)
    assert [(one.sessions, one.limited_by) for one in found.tenants] == [
        (100, "reserved concurrency"),
        (500, "unreserved concurrency of the account"),
        (500, "unreserved concurrency of the account"),
    ]
    # The two tenants share 500: 600 x (0.2546 + 0.02400012)
    assert (found.sessions, found.hour_usd) == (600, pytest.approx(167.160072))


def test_session_quota_limits_everything() -> None:
    found = costs(tenant(), quotas={"functions_at_once": 5_000, "live_sessions": 300})
    (one,) = found.tenants
    assert (one.sessions, one.limited_by) == (300, "session quota")
    assert found.sessions == 300
    # 300 x 0.2546, and x 730
    assert found.open_sessions_hour_usd == pytest.approx(76.38)
    assert found.open_sessions_month_usd == pytest.approx(55_757.4)


def test_callers_are_limited_by_the_session_quota_only() -> None:
    found = costs(tenant(5, {"callers": [CALLER]}))
    (one,) = found.tenants
    assert (one.sessions, one.limited_by, found.sessions) == (1_000, "session quota", 1_000)
    assert one.hour_usd == pytest.approx(1_000 * SESSION_HOUR + 5 * FUNCTION_HOUR)


def test_callers_can_start_sessions_of_eight_hours_whatever_the_interpreter_allows_in_requests() -> None:
    short = {"session": {"longest_seconds": 1_800}}
    both = {**tenant(5), "interpreters": {"run": short, "agent": {**short, "callers": [CALLER]}}}
    found = costs(both)
    (one,) = found.tenants
    # 28,800 s = 8 h: 8 x 0.2546, and 1,000 sessions of it
    assert one.longest_session_seconds == 28_800
    assert (one.session_usd, one.live_sessions_usd) == (pytest.approx(2.0368), pytest.approx(2_036.8))
    assert CostLimit(limit="session lifetime in seconds", value=28_800, tenant="t0") in found.stopped_by


def test_report_separates_limits_that_stop_from_those_that_only_notify() -> None:
    budget = {"usd_a_month": 400, "emails": ["a@example.com"]}
    found = costs(tenant(20), tenant(), budget=budget, alarm_topic_arn="arn:aws:sns:eu-west-1:111122223333:alarms")
    assert found.stopped_by == (
        CostLimit(limit="reserved concurrency", value=20, tenant="t0"),
        CostLimit(limit="session lifetime in seconds", value=3_600, tenant="t0"),
        CostLimit(limit="session lifetime in seconds", value=3_600, tenant="t1"),
        CostLimit(limit="session quota", value=1_000),
    )
    assert found.notified_by == (
        CostLimit(limit="budget in USD per month", value=400),
        CostLimit(limit="alarm on live sessions", value=800),
    )
    text = [line.text for line in cost_lines(found)]
    assert text[1] == (
        "tenant t0: $5.57 per hour, $4,068 per month (20 concurrent sessions, limited by reserved concurrency); "
        "a session of 3,600 s costs at most $0.25, and sessions that are live when no more start cost at most $5.09"
    )
    assert text[-1] == "only notify: budget in USD per month 400, alarm on live sessions 800"


def test_each_tenant_without_reserved_concurrency_is_a_warning() -> None:
    found = find_cost_warnings(environment({"a": tenant(20), "b": tenant(), "c": tenant()}))
    assert [one.at for one in found] == [
        "tenants.b.session_function.reserved_concurrency",
        "tenants.c.session_function.reserved_concurrency",
    ]
    unnamed = environment({"a": tenant()}).model_copy(update={"tenants": None, "interpreters": {}})
    assert [one.at for one in find_cost_warnings(unnamed)] == ["interpreters"]
    assert find_cost_warnings(environment({"b": tenant()}, account="123456789012")) == ()


def test_callers_are_a_warning_because_no_reservation_limits_their_sessions() -> None:
    found = find_cost_warnings(environment({"a": tenant(20, {"callers": [CALLER]}), "b": tenant(20)}))
    assert [one.at for one in found] == ["tenants.a.interpreters.run.callers"]
    assert "only the session quota of the account limits their number and their cost" in found[0].text


@pytest.mark.parametrize("name", ["local", "prod"])
def test_environments_of_the_repository_limit_concurrency(name: str) -> None:
    assert find_cost_warnings(load(PROJECT / "environments" / f"{name}.yaml")) == ()


def test_page_shows_the_report_of_the_production_environment() -> None:
    page = (PROJECT / "docs" / "plan.md").read_text()
    report = cost_lines(maximum_costs(load(PROJECT / "environments" / "prod.yaml")))
    assert "".join(f"{'  ' * line.depth}{line.text}\n" for line in report) in page


def test_alarm_without_a_topic_is_shown_only() -> None:
    (alarm,) = costs(tenant(20)).notified_by
    assert alarm.limit == "alarm on live sessions, in CloudWatch only, because no topic is set"


def test_batches_with_more_sessions_than_the_pace_of_calls_allows_are_a_warning() -> None:
    def warnings(reserved: int) -> list[str]:
        with_batches: dict[str, Any] = tenant(reserved) | {"workflows": {"run-batch": {}}}
        return [one.text for one in find_warnings(environment({"a": with_batches})) if "calls_per_second" in one.at]

    assert warnings(240) == []
    assert warnings(300) == [
        "is 30, which is enough for 240 sessions of short programs, but the tenants with run-batch reserve 300 "
        "concurrent runs: calls of programs that take less than 12 s are throttled"
    ]


def test_prices_of_the_file_replace_the_list_prices() -> None:
    prices = {"vcpu_hour": 0.1, "gb_hour": 0.02, "lambda_gb_second": 0.00001}
    # 2 vCPU x 0.1 + 8 GB x 0.02, and 0.5 GB x 0.00001 x 3,600 s
    assert costs(tenant(1), prices=prices).hour_usd == pytest.approx(0.36 + 0.018)
    assert environment({"a": tenant()}).prices.changed == {}
    changed = environment({"a": tenant()}, prices=prices).prices.changed
    assert changed == {**prices, "lambda_gb_second": {"arm64": 0.00001, "x86_64": 0.00001}}
    assert Prices(**changed) == environment({"a": tenant()}, prices=prices).prices.prices


@pytest.mark.parametrize("invalid", ["cheap", "-1", ".inf", ".nan", "true", "1001"])
def test_a_price_that_is_not_a_positive_number_is_one_clear_error(tmp_path: Path, invalid: str) -> None:
    file = tmp_path / "prod.yaml"
    head = "name: prod\naccount: '111122223333'\nregion: eu-west-1\nowner: tests\ninterpreters: {run: {}}\n"
    file.write_text(f"{head}prices: {{vcpu_hour: {invalid}}}\n")
    with pytest.raises(InvalidEnvironment) as error:
        load(file)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{file}:6: prices.vcpu_hour is ")
    assert "; allowed: a number of US dollars from 0 to 1,000; " in line
