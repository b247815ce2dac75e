"""The fleet stack has alarms on the account's quotas, a dashboard of all tenants, and a budget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper_constructs.template_text import template_text
from tests.support.assemblies import synthesize

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly, Template

TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"


@pytest.fixture(scope="module")
def fleet_assembly(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(
        tmp_path_factory.mktemp("fleet"),
        {
            "account": "111122223333",
            "region": "eu-west-1",
            "alarm_topic_arn": TOPIC,
            "quotas": {"live_sessions": 2_500},
        },
        budget={"usd_a_month": 400, "emails": ("a@example.com", "b@example.com")},
        tenants={name: {"interpreters": {"sandbox": {}}} for name in ("claims", "analytics")},
    )


@pytest.fixture(scope="module")
def fleet(fleet_assembly: Assembly) -> Template:
    return fleet_assembly["sandpiper-one-fleet"]


def _alarms(fleet: Template) -> dict[str, dict[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in fleet.resources("AWS::CloudWatch::Alarm").values()}


def _widgets(fleet: Template) -> list[dict[str, Any]]:
    body = fleet.only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    return json.loads(template_text(body))["widgets"]


def test_fleet_stack_has_no_dependencies_in_either_direction(fleet_assembly: Assembly) -> None:
    artifacts = fleet_assembly.manifest["artifacts"]
    stacks = {name for name, artifact in artifacts.items() if artifact["type"] == "aws:cloudformation:stack"}
    assert not stacks & set(artifacts["sandpiper-one-fleet"]["dependencies"])
    assert not [name for name in stacks if "sandpiper-one-fleet" in artifacts[name].get("dependencies", ())]


def test_live_sessions_alarm_triggers_below_the_quota(fleet: Template) -> None:
    alarm = _alarms(fleet)["sandpiper-one-fleet-live-sessions"]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == (
        "AWS/Bedrock-AgentCore",
        "ActiveSessionCount",
        "Maximum",
    )
    assert alarm["Dimensions"] == [{"Name": "Service", "Value": "AgentCore.CodeInterpreter"}]
    assert alarm["Threshold"] == 2_000
    assert "2500" in alarm["AlarmDescription"]


def test_throttle_alarms_cover_the_whole_account(fleet: Template) -> None:
    (query,) = _alarms(fleet)["sandpiper-one-fleet-throttles"]["Metrics"]
    assert query["Expression"] == 'SELECT SUM(Throttles) FROM SCHEMA("AWS/Bedrock-AgentCore", Operation, Resource)'
    refused = _alarms(fleet)["sandpiper-one-fleet-refused-functions"]
    assert (refused["Namespace"], refused["MetricName"], refused.get("Dimensions")) == ("AWS/Lambda", "Throttles", None)


def test_alarms_with_a_cause_of_their_own_notify_the_topic(fleet: Template) -> None:
    alone = [alarm for name, alarm in _alarms(fleet).items() if name.endswith("vcpu-hours")]
    notifying = [*alone, *fleet.resources("AWS::CloudWatch::CompositeAlarm").values()]
    assert [(alarm["AlarmActions"], alarm["OKActions"]) for alarm in notifying] == [([TOPIC], [TOPIC])] * 3


def test_every_tenant_graph_has_a_line_for_each_tenant(fleet: Template) -> None:
    lines = {
        widget["properties"]["title"]: [
            (metric[1], metric[3], metric[-1]["label"]) for metric in widget["properties"]["metrics"]
        ]
        for widget in _widgets(fleet)
        if widget["type"] == "metric" and widget["properties"]["metrics"][0][0] == "Sandpiper"
    }
    assert lines == {
        title: [(metric, f"sandpiper-one-{tenant}", tenant) for tenant in ("claims", "analytics")]
        for title, metric in {
            "Estimated cost of each tenant in the selected time range (USD)": "EstimatedUsd",
            "Estimated cost of each tenant (USD an hour)": "EstimatedUsd",
            "Operations (count in 5 minutes)": "Runs",
            "Operations without a result (count in 5 minutes)": "Errors",
            "Throttled operations (count in 5 minutes)": "Throttled",
            "Leaked sessions (count in 5 minutes)": "SessionsNotStopped",
        }.items()
    }


def _graph(fleet: Template, title: str) -> dict[str, Any]:
    (widget,) = (each for each in _widgets(fleet) if each["properties"].get("title") == title)
    return widget["properties"]


def test_live_sessions_graph_shows_the_quota(fleet: Template) -> None:
    assert _graph(fleet, "Live sessions in the account")["annotations"]["horizontal"] == [
        {"value": 2_000, "label": "alarm"},
        {"value": 2_500, "label": "quota"},
    ]


def test_use_of_each_quota_is_in_percent(fleet: Template) -> None:
    shares = [
        (line[-1]["label"], line[-1]["expression"])
        for line in _graph(fleet, "Use of each quota (percent of the quota)")["metrics"]
        if line[-1].get("visible", True)
    ]
    assert shares == [
        ("live sessions", "100 * live / 2500"),
        ("Lambda concurrency", "100 * concurrent / 1000"),
        # 30 calls per second in the 60 seconds of the period of the query.
        ("starts per second", "100 * starts / 1800"),
        ("invokes per second", "100 * invokes / 1800"),
        ("stops per second", "100 * stops / 1800"),
    ]


def test_budget_filters_by_the_environment_tag_and_notifies_all_emails(
    fleet_assembly: Assembly, fleet: Template
) -> None:
    budget = fleet.only("AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 400, "Unit": "USD"}
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:sandpiper:environment$one"]}
    subscribers = [{"Address": mail, "SubscriptionType": "EMAIL"} for mail in ("a@example.com", "b@example.com")]
    notifications = {
        each["Notification"]["NotificationType"]: each["Subscribers"] for each in budget["NotificationsWithSubscribers"]
    }
    assert notifications == {"FORECASTED": subscribers, "ACTUAL": subscribers}
    others = [template for name, template in fleet_assembly.templates.items() if name != fleet.name]
    assert not [template.name for template in others if template.resources("AWS::Budgets::Budget")]


def test_no_budget_by_default(dev: Assembly) -> None:
    assert not dev["sandpiper-dev-fleet"].resources("AWS::Budgets::Budget")
