"""Every alarm of the table is deployed with its metric, threshold and runbook, and is on a dashboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from sandpiper.environment import AlarmThresholds
from sandpiper.environment.alarms import FleetAlarmThresholds
from sandpiper.names import WORKFLOW_NAMES
from sandpiper_constructs.alarm_table import COMPOSITES, ROWS, AlarmRow, AlarmStack, CompositeRow
from sandpiper_constructs.template_text import template_text
from sandpiper_constructs.tenant_alarms import Thresholds, WorkflowAlarms
from sandpiper_contract.errors import AUTHOR_FAULTS
from tests.support.assemblies import new_app, read_assembly
from tests.support.project import PROJECT
from tests.support.rich_environment import RICH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.assemblies import Assembly, Template

STACKS = {
    "sandpiper-one-claims": AlarmStack.TENANT,
    "sandpiper-one-analytics": AlarmStack.TENANT,
    "sandpiper-one-fleet": AlarmStack.FLEET,
    "sandpiper-one-network": AlarmStack.NETWORK,
}
SECONDS = {"1 minute": 60, "5 minutes": 300, "1 hour": 3_600, "1 day": 86_400}
DERIVED = {
    "live-sessions": 800,
    "start-calls": 1_440,
    "invoke-calls": 1_440,
    "stop-calls": 1_440,
    "function-concurrency": 800,
    "near-deadline": 810_000,
}
"""Thresholds by default that are derived: 80% of 1,000 and of 30 calls in 60 s; 90% of 900 s in milliseconds."""
RUNBOOK_HEADINGS = ("## What happened", "## Where to look", "## What to do")
MAX_RUNBOOK_LINES = 60
"""About one page."""


def alarms_of(template: Template) -> dict[str, dict[str, Any]]:
    """Returns the alarms by their name without the name of the stack."""
    alarms = template.resources("AWS::CloudWatch::Alarm").values()
    return {alarm["AlarmName"].removeprefix(f"{template.name}-"): alarm for alarm in alarms}


def row_name(alarm: str) -> str:
    """Returns the name of the row of an alarm, which may end with the name of a workflow."""
    (suffix,) = [name for name in WORKFLOW_NAMES if alarm.endswith(f"-{name}")] or [""]
    return alarm.removesuffix(f"-{suffix}") if suffix else alarm


def row_of(kind: AlarmStack, name: str) -> AlarmRow:
    (row,) = (each for each in ROWS if (each.stack, each.name) == (kind, row_name(name)))
    return row


def deployed(assembly: Assembly) -> Iterator[tuple[AlarmRow, dict[str, Any]]]:
    """Yields every alarm with its row."""
    for stack, kind in STACKS.items():
        yield from ((row_of(kind, name), alarm) for name, alarm in alarms_of(assembly[stack]).items())


def test_table_and_templates_have_the_same_alarms(rich: Assembly) -> None:
    found = {(STACKS.get(name), row_name(alarm)) for name, each in rich.templates.items() for alarm in alarms_of(each)}
    assert found == {(row.stack, row.name) for row in ROWS}


def test_metric_period_and_threshold_are_those_of_the_table(rich: Assembly) -> None:
    for row, alarm in deployed(rich):
        is_express = alarm["AlarmName"].endswith("express")
        metric = "AWS/States ExecutionsFailed" if is_express and row.name == "errors" else row.metric
        namespace, name = metric.split()
        match alarm:
            case {"Metrics": [{"MetricStat": stat}, band]}:
                assert (stat["Metric"]["Namespace"], stat["Metric"]["MetricName"]) == (namespace, name)
                assert band == {
                    "Expression": "ANOMALY_DETECTION_BAND(metric, 3)",
                    "Id": alarm["ThresholdMetricId"],
                    "ReturnData": True,
                }
                assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (3, 3)
                period, threshold = stat["Period"], row.threshold
            case {"Metrics": [query]}:
                assert namespace in query["Expression"]
                assert name in query["Expression"]
                period, threshold = query["Period"], alarm["Threshold"]
            case _:
                assert (alarm["Namespace"], alarm["MetricName"]) == (namespace, name)
                period, threshold = alarm["Period"], alarm["Threshold"]
        assert period == SECONDS[row.period.partition(",")[0]]
        assert threshold == DERIVED.get(row.name, row.threshold)


def test_defaults_of_the_environment_file_are_those_of_the_constructs() -> None:
    assert AlarmThresholds().model_dump() == vars(Thresholds())
    options = {(row.option or "").rpartition(".")[2]: row.threshold for row in ROWS}
    for name, default in (AlarmThresholds().model_dump() | FleetAlarmThresholds().model_dump()).items():
        threshold = options[name]
        assert default == threshold if isinstance(threshold, int) else str(threshold).startswith(str(default))


def composites_of(template: Template) -> dict[str, dict[str, Any]]:
    """Returns the composite alarms by their name without the name of the stack."""
    alarms = template.resources("AWS::CloudWatch::CompositeAlarm").values()
    return {alarm["AlarmName"].removeprefix(f"{template.name}-"): alarm for alarm in alarms}


def test_only_the_composite_alarm_of_a_group_notifies(rich: Assembly) -> None:
    found: set[tuple[AlarmStack, str]] = set()
    for stack, kind in STACKS.items():
        prefix, alarms = f"{stack}-", rich[stack].resources("AWS::CloudWatch::Alarm")
        rows = {name: row_of(kind, alarm["AlarmName"].removeprefix(prefix)) for name, alarm in alarms.items()}
        for name, alarm in alarms.items():
            assert ("AlarmActions" in alarm, "OKActions" in alarm) == (not rows[name].group,) * 2
        for group, composite in composites_of(rich[stack]).items():
            (row,) = (each for each in COMPOSITES if (each.stack, each.name) == (kind, group))
            members = [name for name, each in rows.items() if each.group == group]
            names = [f'ALARM("{alarms[name]["AlarmName"]}")' for name in members]
            assert sorted(composite["AlarmRule"].split(" OR ")) == sorted(names)
            assert len(members) > 1
            assert {rows[name].team for name in members} == {row.team}
            assert composite["AlarmActions"] == composite["OKActions"] == [RICH["alarm_topic_arn"]]
            found.add((kind, group))
    assert found == {(row.stack, row.name) for row in COMPOSITES}


def test_own_topic_is_encrypted_for_alarms_of_the_account_only(rich: Assembly) -> None:
    fleet = rich["sandpiper-one-fleet"]
    topic, key = fleet.only("AWS::SNS::Topic"), fleet.only("AWS::KMS::Key")
    owned = f"arn:aws:sns:eu-west-1:111122223333:{topic['TopicName']}"
    alarm = next(each for name, each in alarms_of(rich["sandpiper-one-analytics"]).items() if name == "aborted")
    assert alarm["AlarmActions"] == alarm["OKActions"] == [owned]
    ((key_id, _),) = fleet.resources("AWS::KMS::Key").items()
    assert topic["KmsMasterKeyId"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert key["EnableKeyRotation"]
    statements = {each["Sid"]: each for each in key["KeyPolicy"]["Statement"]}
    uses = {"Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    of_alarms = statements["Publish"]["Condition"]
    assert statements["Publish"].items() >= uses.items()
    assert of_alarms["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert template_text(of_alarms["ArnLike"]["aws:SourceArn"]).endswith(":cloudwatch:eu-west-1:111122223333:alarm:*")
    publish, deny = fleet.only("AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    assert (publish["Action"], publish["Condition"]) == ("sns:Publish", of_alarms)
    assert (deny["Effect"], deny["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_own_topic_notifies_people_pagerduty_and_slack(rich: Assembly) -> None:
    fleet = rich["sandpiper-one-fleet"]
    ((topic, _),) = fleet.resources("AWS::SNS::Topic").items()
    subscriptions = fleet.resources("AWS::SNS::Subscription").values()
    assert {(each["Protocol"], each["Endpoint"]) for each in subscriptions} == {
        ("email", "owners@example.com"),
        ("https", "https://events.pagerduty.com/integration/abc/enqueue"),
    }
    assert [each["TopicArn"] for each in subscriptions] == [{"Ref": topic}] * 2
    slack = fleet.only("AWS::Chatbot::SlackChannelConfiguration")
    assert (slack["SlackWorkspaceId"], slack["SlackChannelId"]) == ("T0123ABCD", "C0123ABCD")
    assert slack["SnsTopicArns"] == [{"Ref": topic}]
    assert [template_text(each).rpartition(":")[2] for each in slack["GuardrailPolicies"]] == ["policy/AWSDenyAll"]
    role = fleet.resources("AWS::IAM::Role")[slack["IamRoleArn"]["Fn::GetAtt"][0]]
    assert not role.keys() & {"Policies", "ManagedPolicyArns"}


def test_every_alarm_links_a_runbook_of_at_most_a_page(rich: Assembly) -> None:
    composites = [
        (row, composites_of(rich[stack])[row.name])
        for stack, kind in STACKS.items()
        for row in COMPOSITES
        if row.stack == kind
    ]
    found: list[tuple[AlarmRow | CompositeRow, dict[str, Any]]] = [*deployed(rich), *composites]
    for row, alarm in found:
        assert alarm["AlarmDescription"].startswith(row.meaning)
        assert alarm["AlarmDescription"].endswith(f"For the {row.team}. Runbook: {row.runbook_path}")
        runbook = (PROJECT / row.runbook_path).read_text()
        assert [line for line in runbook.splitlines() if line.startswith("## ")] == list(RUNBOOK_HEADINGS)
        where = runbook.split(RUNBOOK_HEADINGS[1])[1].split(RUNBOOK_HEADINGS[2])[0]
        assert "```sh\n" in where, f"{row.runbook_path} has no command"
        assert len(runbook.splitlines()) <= MAX_RUNBOOK_LINES
    files = {f"docs/runbooks/{path.name}" for path in (PROJECT / "docs" / "runbooks").iterdir()}
    assert files == {row.runbook_path for row in (*ROWS, *COMPOSITES)}


def test_every_alarm_is_on_a_dashboard(rich: Assembly) -> None:
    shown = "".join(_alarm_widgets(rich))
    for stack in STACKS:
        template = rich[stack]
        composites = template.resources("AWS::CloudWatch::CompositeAlarm")
        for name, alarm in (template.resources("AWS::CloudWatch::Alarm") | composites).items():
            assert name in shown or f":alarm:{alarm['AlarmName']}" in shown


def _alarm_widgets(assembly: Assembly) -> Iterator[str]:
    """Yields the alarms of each widget as text, with the logical ids of those in the same stack."""
    for template in assembly.templates.values():
        for dashboard in template.resources("AWS::CloudWatch::Dashboard").values():
            for widget in json.loads(template_text(dashboard["DashboardBody"]))["widgets"]:
                if widget["type"] == "alarm":
                    yield json.dumps(widget["properties"]["alarms"])


@pytest.mark.parametrize("stack", ["sandpiper-one-claims", "sandpiper-one-analytics"])
@pytest.mark.parametrize("workflow", ["run-code", "run-command"])
def test_errors_alarm_counts_failures_that_the_author_cannot_correct(rich: Assembly, stack: str, workflow: str) -> None:
    alarm = "errors" if workflow == "run-code" else f"errors-{workflow}"
    ((name,),) = (each["Value"].values() for each in alarms_of(rich[stack])[alarm]["Dimensions"])
    rule = rich[stack].resources("AWS::Events::Rule")[name]
    detail = rule["EventPattern"]["detail"]
    state_machines = rich[stack].resources("AWS::StepFunctions::StateMachine")
    (state_machine,) = (
        name for name, each in state_machines.items() if each["StateMachineName"] == f"{stack}-{workflow}"
    )
    assert (detail["status"], detail["stateMachineArn"]) == (["FAILED"], [{"Ref": state_machine}])
    assert detail["error"] == [{"anything-but": list(AUTHOR_FAULTS)}, {"exists": False}]
    assert "Targets" not in rule


@pytest.mark.parametrize(
    ("is_express", "expected"),
    [
        (False, {"errors": "MatchedEvents", "timed-out": "ExecutionsTimedOut", "aborted": "ExecutionsAborted"}),
        (True, {"errors": "ExecutionsFailed", "timed-out": "ExecutionsTimedOut"}),
    ],
    ids=["standard", "express"],
)
def test_workflow_of_an_author_has_its_own_alarms(is_express: bool, expected: dict[str, str], tmp_path: Path) -> None:
    arn, topic = "arn:aws:states:eu-west-1:111122223333:stateMachine:nightly", "arn:aws:sns:eu-west-1:111122223333:a"
    app = new_app(tmp_path)
    stack = cdk.Stack(app, "nightly")
    WorkflowAlarms(
        stack, "Alarms", name_prefix="nightly", state_machine_arn=arn, is_express=is_express, topic_arn=topic
    )
    app.synth()
    template = read_assembly(tmp_path)["nightly"]
    alarms = alarms_of(template)
    assert {name: each["MetricName"] for name, each in alarms.items()} == expected
    assert all(each["AlarmActions"] == [topic] for each in alarms.values())
    rules = template.resources("AWS::Events::Rule").values()
    assert [each["EventPattern"]["detail"]["stateMachineArn"] for each in rules] == ([] if is_express else [[arn]])


def test_blocked_names_are_those_of_the_rule_that_blocks(rich: Assembly) -> None:
    template = rich["sandpiper-one-network"]
    dimensions = {each["Name"]: each["Value"]["Ref"] for each in alarms_of(template)["blocked-names"]["Dimensions"]}
    ((group, properties),) = template.resources("AWS::Route53Resolver::FirewallRuleGroup").items()
    (blocking,) = (rule for rule in properties["FirewallRules"] if rule["Action"] == "BLOCK")
    assert dimensions == {
        "FirewallRuleGroupId": group,
        "FirewallDomainListId": blocking["FirewallDomainListId"]["Ref"],
    }


def test_environment_without_a_network_has_no_alarm_on_names(dev: Assembly) -> None:
    assert not [name for each in dev.templates.values() for name in alarms_of(each) if "blocked" in name]


def test_dashboard_of_a_tenant_shows_failed_runs_by_error(rich: Assembly) -> None:
    body = rich["sandpiper-one-claims"].only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    widgets = json.loads(template_text(body))["widgets"]
    (graph,) = (
        each for each in widgets if each["properties"].get("title") == "Failed runs by error (count in 5 minutes)"
    )
    ((search,),) = graph["properties"]["metrics"]
    assert search["expression"] == (
        "SEARCH('{Sandpiper,service,error} MetricName=\"FailedRuns\" service=\"sandpiper-one-claims\"', 'Sum', 300)"
    )
