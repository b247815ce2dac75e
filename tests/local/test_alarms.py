"""Every alarm is triggered by its metric at the threshold, and not below it.

The data is put directly, which takes less time than to cause each event.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from sandpiper_constructs.alarm_table import ROWS, AlarmStack
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.errors import APPROVAL_ERRORS, ERRORS
from tests.support.assemblies import synthesize
from tests.support.cli import sandpiper
from tests.support.project import PROJECT
from tests.support.rich_environment import RICH
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    *("CodeFailed", "BatchFailed", "ApprovalRejected", "ApprovalTimedOut"),
)
"""The errors that must not trigger an alarm of the platform team."""
ALARMS = [f"{STACKS[row.stack]}-{row.name}" for row in ROWS]
THROTTLES_OF_THE_ACCOUNT: dict[str, Any] = {
    "Namespace": "AWS/Bedrock-AgentCore",
    "MetricName": "Throttles",
    "Dimensions": [{"Name": "Operation", "Value": "InvokeCodeInterpreter"}, {"Name": "Resource", "Value": "arn"}],
    "Statistic": "Sum",
}
"""A metric that the query of the fleet's alarm on throttles selects."""


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesize(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture(scope="module")
def alarms(rich: Assembly) -> dict[str, dict[str, Any]]:
    """Creates the alarms of the templates, without actions and with logical ids as the values of dimensions."""
    found = {
        each["AlarmName"]: each
        for stack in STACKS.values()
        for each in rich[stack].resources("AWS::CloudWatch::Alarm").values()
    }
    for alarm in found.values():
        arguments: Any = {name: value for name, value in alarm.items() if name not in ("AlarmActions", "OKActions")}
        dimensions: Any = {} if "Metrics" in alarm else {"Dimensions": dimensions_of(alarm)}
        boto3.client("cloudwatch").put_metric_alarm(**arguments | dimensions)
    return found


def dimensions_of(alarm: dict[str, Any]) -> list[Any]:
    return [{"Name": each["Name"], "Value": template_text(each["Value"])} for each in alarm.get("Dimensions", ())]


def put(alarm: dict[str, Any], value: float) -> None:
    data: Any = {"MetricName": alarm["MetricName"], "Dimensions": dimensions_of(alarm), "Value": value}
    boto3.client("cloudwatch").put_metric_data(Namespace=alarm["Namespace"], MetricData=[data])


def state_of(name: str) -> str:
    (alarm,) = boto3.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm.get("StateValue", "")


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


@pytest.mark.parametrize("name", ALARMS)
def test_alarm_is_triggered_at_its_threshold(alarms: dict[str, dict[str, Any]], name: str) -> None:
    alarm = alarms[name]
    if "Metrics" in alarm:
        alarm = alarm | THROTTLES_OF_THE_ACCOUNT
    put(alarm, alarm["Threshold"] - 1)
    assert state_of(name) != "ALARM"
    put(alarm, 1 if alarm["Statistic"] == "Sum" else alarm["Threshold"])
    assert state_of(name) == "ALARM"


@pytest.mark.parametrize("error", [*ERRORS, *APPROVAL_ERRORS, "States.Timeout", "Lambda.Unknown"])
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
    assert "1 of 2 alarms notify no topic: set alarm_topic_arn" in printed.stderr


@pytest.mark.usefixtures("two_alarms")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "-e", "two"), "no alarm sandpiper-two-nothing; allowed: sandpiper-two-fleet-live-sessions | "),
        (("fleet-live-sessions", "-e", "two"), "fleet-live-sessions notifies no topic: set alarm_topic_arn and deploy"),
        (("-e", "three"), "environment three has no alarms: deploy it first"),
    ],
)
def test_an_alarm_that_cannot_be_tested_is_one_error(arguments: tuple[str, ...], message: str) -> None:
    refused = sandpiper("alarms", "test", *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr
