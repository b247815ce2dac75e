"""Every alarm is triggered by its metric at the threshold, and not below it.

The data is put directly, which takes less time than to cause each event.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from local_agentcore.admin_client import EmulatorClock
from sandpiper_constructs.alarm_table import COMPOSITES, ROWS, AlarmStack
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.errors import APPROVAL_ERRORS, ERRORS
from tests.support.assemblies import synthesize
from tests.support.cli import sandpiper
from tests.support.project import PROJECT
from tests.support.rich_environment import RICH
from tests.support.target import ON_AWS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.running_instance import RunningInstance
    from sandpiper_constructs.alarm_table import CompositeRow
    from tests.support.assemblies import Assembly, Template

pytestmark = [
    pytest.mark.skipif(ON_AWS, reason="puts data of AWS namespaces"),
    pytest.mark.usefixtures("aws"),
]

STACKS = {
    AlarmStack.TENANT: "sandpiper-one-claims",
    AlarmStack.FLEET: "sandpiper-one-fleet",
    AlarmStack.NETWORK: "sandpiper-one-network",
}
OF_AUTHORS = (
    *("InvalidRequest", "InterpreterNotFound", "PayloadTooLarge", "SessionEnded", "DeadlineExceeded"),
    *("CodeFailed", "BatchFailed", "ApprovalRejected", "ApprovalTimedOut", "States.ExceedToleratedFailureThreshold"),
)
"""The errors that must not trigger an alarm of the platform team."""
ALARMS = [f"{STACKS[row.stack]}-{row.name}" for row in ROWS]
ACTIONS = ("AlarmActions", "OKActions")
RECOVERY_SECONDS = 1_800
"""Longer than the range of evaluation of an alarm on five minutes, also of one on three periods."""
SLOW_PERIODS = 3
"""The periods for which the latency has to be unusual."""
OWN = "test_alarms/"
"""The start of the namespaces of this module."""
LONG_PERIODS = ("vcpu-hours", "daily-spend")
"""Alarms that recover after hours or days."""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture(scope="module")
def alarms(rich: Assembly) -> dict[str, dict[str, Any]]:
    """Creates the alarms of the templates, without actions and with logical ids as the values of dimensions.

    Alarms of the fleet evaluate metrics of the account, which calls of other tests change. They get namespaces of
    this module.
    """
    found = {
        each["AlarmName"]: resolved({name: value for name, value in each.items() if name not in ACTIONS})
        for stack in STACKS.values()
        for each in rich[stack].resources("AWS::CloudWatch::Alarm").values()
    }
    found |= {
        name: with_own_namespaces(each) for name, each in found.items() if name.startswith(STACKS[AlarmStack.FLEET])
    }
    for alarm in found.values():
        boto3.client("cloudwatch").put_metric_alarm(**alarm)
    return found


def resolved(value: Any) -> Any:
    """Returns a value of a template with its references as text."""
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _}:
            return template_text(value)
        case dict():
            entries = cast("dict[str, Any]", value)
            return {name: resolved(each) for name, each in entries.items()}
        case list():
            return [resolved(each) for each in cast("list[Any]", value)]
        case _:
            return value


def with_own_namespaces(value: Any) -> Any:
    """Returns an alarm whose metrics are in namespaces to which only this module puts data."""
    match value:
        case {"Namespace": str(namespace), **rest}:
            return {**with_own_namespaces(rest), "Namespace": OWN + namespace}
        case {"Expression": str(expression), **rest}:
            return {**with_own_namespaces(rest), "Expression": expression.replace('SCHEMA("', f'SCHEMA("{OWN}')}
        case dict():
            entries = cast("dict[str, Any]", value)
            return {name: with_own_namespaces(each) for name, each in entries.items()}
        case list():
            return [with_own_namespaces(each) for each in cast("list[Any]", value)]
        case _:
            return value


def metric_of(alarm: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Returns the namespace, and the name with the dimensions, of a metric that an alarm evaluates."""
    metric = alarm
    match alarm:
        case {"Metrics": [{"MetricStat": {"Metric": watched}}, *_]}:
            metric = cast("dict[str, Any]", watched)
        case {"Metrics": [{"Expression": expression}]}:
            (operation,) = re.findall(r"Operation = '(\w+)'", expression) or ["InvokeCodeInterpreter"]
            ((name, namespace),) = re.findall(r"SUM\((\w+)\) FROM SCHEMA\(\"(.+?)\"", expression)
            dimensions = [{"Name": "Operation", "Value": operation}, {"Name": "Resource", "Value": "arn"}]
            metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
        case _:
            pass
    return str(metric["Namespace"]), {"MetricName": metric["MetricName"], "Dimensions": metric.get("Dimensions", [])}


def put(alarm: dict[str, Any], *values: float, seconds_ago: float = 0) -> None:
    """Puts values of the alarm's metric, each a period before the one to its right."""
    namespace, metric = metric_of(alarm)
    data: Any = [
        metric | {"Value": value, "Timestamp": time.time() - seconds_ago - index * 300}
        for index, value in enumerate(reversed(values))
    ]
    boto3.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def state_of(name: str) -> str:
    found: Any = boto3.client("cloudwatch").describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    (alarm,) = found["MetricAlarms"] + found["CompositeAlarms"]
    return alarm["StateValue"]


def pattern_of(template: Template) -> dict[str, Any]:
    """Returns the pattern of a rule that counts failures, with the logical id of the state machine as its ARN."""
    rule = next(each for each in template.resources("AWS::Events::Rule").values() if "Targets" not in each)
    pattern = rule["EventPattern"]
    (state_machine,) = pattern["detail"]["stateMachineArn"]
    return {**pattern, "detail": {**pattern["detail"], "stateMachineArn": [template_text(state_machine)]}}


def matches(pattern: dict[str, Any], **detail: object) -> bool:
    event: dict[str, Any] = {
        "id": "1",
        "account": "111122223333",
        "source": "aws.states",
        "time": "2026-11-30T00:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail-type": "Step Functions Execution Status Change",
        "detail": {"status": "FAILED", "stateMachineArn": pattern["detail"]["stateMachineArn"][0], **detail},
    }
    client = cast("Any", boto3).client("events")  # no stubs of this service are installed
    return client.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))["Result"]


def trigger(alarm: dict[str, Any]) -> None:
    """Puts data that triggers an alarm, and no more than that."""
    if "ThresholdMetricId" in alarm:
        put(alarm, *[10_000] * SLOW_PERIODS, seconds_ago=1)
    else:
        put(alarm, 1 if is_sum(alarm) else alarm["Threshold"])


def is_sum(alarm: dict[str, Any]) -> bool:
    return "Metrics" in alarm or alarm["Statistic"] == "Sum"


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_is_triggered_at_its_threshold(alarms: dict[str, dict[str, Any]], name: str) -> None:
    alarm = alarms[name]
    if "ThresholdMetricId" in alarm:
        put(alarm, *[100, 102] * 30, seconds_ago=SLOW_PERIODS * 300 + 1)
        put(alarm, *[101] * SLOW_PERIODS, seconds_ago=1)
    else:
        put(alarm, alarm["Threshold"] - 1)
    assert state_of(name) != "ALARM"
    trigger(alarm)
    assert state_of(name) == "ALARM"


def recover(aws: RunningInstance, alarm: dict[str, Any]) -> None:
    """Lets time pass until all data is too old. An alarm shows when, because the clock advances after the call."""
    put(alarm, alarm["Threshold"])
    assert state_of(alarm["AlarmName"]) == "ALARM"
    EmulatorClock(aws.agentcore_url).advance(RECOVERY_SECONDS)
    eventually(lambda: state_of(alarm["AlarmName"]), lambda state: state == "OK")


def test_alarms_recover(aws: RunningInstance, alarms: dict[str, dict[str, Any]]) -> None:
    recover(aws, alarms["sandpiper-one-claims-duplicate-executions"])
    assert [name for name in alarms if not name.endswith(LONG_PERIODS) and state_of(name) != "OK"] == []


@pytest.mark.parametrize("row", COMPOSITES, ids=lambda row: row.name)
def test_one_cause_notifies_once(
    aws: RunningInstance, rich: Assembly, alarms: dict[str, dict[str, Any]], topic: tuple[str, str], row: CompositeRow
) -> None:
    stack = STACKS[row.stack]
    members = [each for each in alarms if each.startswith(stack) and alarm_group(each, row.stack) == row.name]
    (composite,) = (
        each
        for each in rich[stack].resources("AWS::CloudWatch::CompositeAlarm").values()
        if each["AlarmName"].endswith(row.name)
    )
    recover(aws, alarms[members[0]])
    rule = composite["AlarmRule"]
    name, client = composite["AlarmName"], boto3.client("cloudwatch")
    client.put_composite_alarm(AlarmName=name, AlarmRule=rule, AlarmActions=[topic[0]], OKActions=[topic[0]])
    try:
        eventually(lambda: state_of(name), lambda state: state == "OK")
        receive(topic)
        for member in members[:2]:
            put(alarms[member], alarms[member]["Threshold"])
            assert (state_of(member), state_of(name)) == ("ALARM", "ALARM")
        assert [each["NewStateValue"] for each in receive(topic)] == ["ALARM"]
        recover(aws, alarms[members[0]])
        assert state_of(name) == "OK"
        assert [each["NewStateValue"] for each in receive(topic)] == ["OK"]
    finally:
        client.delete_alarms(AlarmNames=[name])


def alarm_group(name: str, stack: AlarmStack) -> str:
    """Returns the group of an alarm that is not one of a further workflow."""
    suffix = name.removeprefix(f"{STACKS[stack]}-")
    return next((row.group for row in ROWS if (row.stack, row.name) == (stack, suffix)), "")


def receive(topic: tuple[str, str]) -> list[dict[str, Any]]:
    """Returns the notifications of alarms that the queue of the topic holds."""
    queues = cast("Any", boto3).client("sqs")
    found = queues.receive_message(QueueUrl=topic[1], MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
    for message in found:
        queues.delete_message(QueueUrl=topic[1], ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(json.loads(message["Body"])["Message"]) for message in found]


@pytest.mark.parametrize(
    "error", [*ERRORS, *APPROVAL_ERRORS, "States.Timeout", "States.ExceedToleratedFailureThreshold", "Lambda.Unknown"]
)
def test_rule_of_the_errors_alarm_matches_failures_of_the_platform_only(rich: Assembly, error: str) -> None:
    pattern = pattern_of(rich["sandpiper-one-claims"])
    assert matches(pattern, error=error) == (error not in OF_AUTHORS)


def test_rule_of_the_errors_alarm_matches_a_failure_without_an_error(rich: Assembly) -> None:
    pattern = pattern_of(rich["sandpiper-one-claims"])
    assert matches(pattern)
    assert not matches(pattern, stateMachineArn="another", error="ServiceFault")
    assert not matches(pattern, status="ABORTED", error="ServiceFault")


@pytest.fixture
def topic() -> Iterator[tuple[str, str]]:
    """Creates a topic with a queue as its subscriber. Yields the ARN of the topic and the URL of the queue."""
    clients = cast("Any", boto3)  # no stubs of these services are installed
    queues, topics = clients.client("sqs"), clients.client("sns")
    url = queues.create_queue(QueueName="alarms")["QueueUrl"]
    queue = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    arn = topics.create_topic(Name="alarms")["TopicArn"]
    sent_by_topic = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [sent_by_topic]})
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    topics.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue)
    yield arn, url
    topics.delete_topic(TopicArn=arn)
    queues.delete_queue(QueueUrl=url)


@pytest.fixture
def two_alarms(topic: tuple[str, str]) -> Iterator[None]:
    """Creates an alarm that notifies the topic, and one in the state ALARM without a topic."""
    row = next(row for row in ROWS if row.name == "throttles")
    client: Any = boto3.client("cloudwatch")
    for name, threshold, actions in (("claims-throttles", 5, [topic[0]]), ("fleet-live-sessions", 800, [])):
        client.put_metric_alarm(
            AlarmName=f"sandpiper-two-{name}",
            AlarmDescription=row.description(),
            Namespace="Test",
            MetricName=name,
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=threshold,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=actions,
        )
    client.set_alarm_state(AlarmName="sandpiper-two-fleet-live-sessions", StateValue="ALARM", StateReason="a test")
    yield
    client.delete_alarms(AlarmNames=["sandpiper-two-claims-throttles", "sandpiper-two-fleet-live-sessions"])


@pytest.mark.usefixtures("two_alarms")
def test_alarms_are_listed_with_state_condition_team_and_runbook() -> None:
    urgent, other = json.loads(sandpiper("alarms", "-e", "two", "--json").stdout)
    assert (urgent["name"], urgent["state"]) == ("sandpiper-two-fleet-live-sessions", "ALARM")
    assert other["name"] == "sandpiper-two-claims-throttles"
    assert other["state"] != "ALARM"
    assert other["condition"] == "Test claims-throttles Sum >= 5.0 in 5 min"
    assert other["meaning"] == "AgentCore throttles calls of this tenant."
    assert (other["team"], other["runbook"]) == ("platform team", "docs/runbooks/throttles.md")
    assert (PROJECT / other["runbook"]).is_file()
    printed = sandpiper("alarms", "-e", "two")
    assert "sandpiper-two-fleet-live-sessions" in printed.stdout.splitlines()[1]
    assert "1 of 2 alarms notify no topic: set alarm_subscriptions or alarm_topic_arn" in printed.stderr


@pytest.mark.usefixtures("two_alarms")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "-e", "two"), "no alarm sandpiper-two-nothing; allowed: sandpiper-two-fleet-live-sessions | "),
        (
            ("fleet-live-sessions", "-e", "two"),
            "fleet-live-sessions notifies no topic: set alarm_subscriptions or alarm_topic_arn and deploy",
        ),
        (("-e", "three"), "environment three has no alarms: deploy it first"),
    ],
)
def test_an_alarm_that_cannot_be_tested_is_one_error(arguments: tuple[str, ...], message: str) -> None:
    refused = sandpiper("alarms", "test", *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr


@pytest.mark.usefixtures("two_alarms")
def test_a_test_of_an_alarm_notifies_its_topic_and_restores_its_state(topic: tuple[str, str]) -> None:
    sent = sandpiper("alarms", "test", "claims-throttles", "-e", "two")
    assert sent.returncode == 0, sent.stderr
    assert f"sent sandpiper-two-claims-throttles to {topic[0]}" in sent.stdout
    (notification, *_) = receive(topic)
    assert notification["AlarmName"] == "sandpiper-two-claims-throttles"
    assert notification["NewStateReason"] == "Test of the notification by `sandpiper alarms test`. Nothing happened."
    assert state_of("sandpiper-two-claims-throttles") != "ALARM"
