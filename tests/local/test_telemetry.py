"""Metrics, logs, spans and alarms of the embedded AWS, from the event that causes them to what a client reads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.config import Config

from local_agentcore.admin_client import EmulatorClock, FaultInjector
from local_agentcore.faults import Rule
from tests.support.target import ON_AWS
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_aws.running_instance import RunningInstance

pytestmark = pytest.mark.skipif(ON_AWS, reason="deploys deliveries and advances the clock")

NAMESPACE = "AWS/Bedrock-AgentCore"
TRACE = "5759e988bd862e3fe1be46a994272793"
TRACE_HEADER = f"Root=1-{TRACE[:8]}-{TRACE[8:]};Parent=53995c3f42cd8ad8;Sampled=1"
GROUP, STACK = "/aws/vendedlogs/telemetry", "telemetry"


def client(service: str) -> Any:
    return cast("Any", boto3).client(service)


def interpreter() -> dict[str, str]:
    control = client("bedrock-agentcore-control")
    return control.create_code_interpreter(name=f"t{time.time_ns()}", networkConfiguration={"networkMode": "SANDBOX"})


def total(name: str, stat: str = "Sum", **dimensions: str) -> float | None:
    """Returns a statistic of a metric over the last day, or None without data."""
    now = time.time()
    points = client("cloudwatch").get_metric_statistics(
        Namespace=NAMESPACE,
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - 86_400,
        EndTime=now + 60,
        Period=86_400 * 2,
        Statistics=[stat],
    )["Datapoints"]
    return points[0][stat] if points else None


def messages(group: str, text: str) -> list[dict[str, Any]]:
    found = client("logs").filter_log_events(logGroupName=group, filterPattern=f'"{text}"')["events"]
    return [json.loads(event["message"]) for event in found]


def run(created: dict[str, str], code: str) -> str:
    """Runs code in a new session, and returns the session."""
    agentcore, identifier = client("bedrock-agentcore"), created["codeInterpreterId"]
    session = agentcore.start_code_interpreter_session(
        codeInterpreterIdentifier=identifier, name="run-1", traceId=TRACE_HEADER
    )["sessionId"]
    names = {"codeInterpreterIdentifier": identifier, "sessionId": session, "traceId": TRACE_HEADER}
    arguments = {"language": "python", "code": code}
    list(agentcore.invoke_code_interpreter(**names, name="executeCode", arguments=arguments)["stream"])
    agentcore.stop_code_interpreter_session(**names)
    return session


@pytest.fixture(scope="module")
def delivered(aws: RunningInstance) -> Generator[tuple[dict[str, str], str]]:  # noqa: ARG001 - it sets the endpoints
    """Deploys deliveries of all logs of an interpreter with CloudFormation, and runs code in it."""
    created = interpreter()
    resources: dict[str, Any] = {
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": GROUP}},
        "Destination": {
            "Type": "AWS::Logs::DeliveryDestination",
            "Properties": {
                "Name": "telemetry-logs",
                "DeliveryDestinationType": "CWL",
                "DestinationResourceArn": {"Fn::GetAtt": ["Group", "Arn"]},
            },
        },
        "XRay": {
            "Type": "AWS::Logs::DeliveryDestination",
            "Properties": {"Name": "telemetry-traces", "DeliveryDestinationType": "XRAY"},
        },
    }
    for log_type, destination in (
        ("USAGE_LOGS", "Destination"),
        ("APPLICATION_LOGS", "Destination"),
        ("TRACES", "XRay"),
    ):
        part = log_type.title().replace("_", "")
        resources[f"{part}Source"] = {
            "Type": "AWS::Logs::DeliverySource",
            "Properties": {
                "Name": f"telemetry-{part}",
                "ResourceArn": created["codeInterpreterArn"],
                "LogType": log_type,
            },
        }
        resources[f"{part}Delivery"] = {
            "Type": "AWS::Logs::Delivery",
            "Properties": {
                "DeliverySourceName": {"Ref": f"{part}Source"},
                "DeliveryDestinationArn": {"Fn::GetAtt": [destination, "Arn"]},
            },
        }
    cloudformation = client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": resources}))
    cloudformation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    yield created, run(created, "print(sum(range(5_000_000)), 'secret-output')")
    cloudformation.delete_stack(StackName=STACK)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    # the deployed product can have deliveries in the same account
    left = client("logs").describe_deliveries()["deliveries"]
    assert [one for one in left if one["deliverySourceName"].startswith("telemetry-")] == []


@pytest.mark.parametrize(
    "operation", ["StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession"]
)
def test_each_operation_has_its_calls_and_latency(delivered: tuple[dict[str, str], str], operation: str) -> None:
    arn = delivered[0]["codeInterpreterArn"]
    assert eventually(lambda: total("Invocations", Resource=arn, Operation=operation)) == 1
    assert (total("Latency", Resource=arn, Operation=operation) or 0) > 0
    assert total("UserErrors", Resource=arn, Operation=operation) is None


def test_session_has_its_duration_and_usage(delivered: tuple[dict[str, str], str]) -> None:
    arn, service = delivered[0]["codeInterpreterArn"], "AgentCore.CodeInterpreter"
    assert eventually(lambda: total("Duration", Resource=arn, Operation="CodeInterpreterSession")) > 0
    cpu, memory = "CPUUsed-vCPUHours", "MemoryUsed-GBHours"
    assert eventually(lambda: total(cpu, Service=service, Resource=arn)) > 0
    assert eventually(lambda: total(memory, Service=service, Resource=arn)) > 0
    assert (total(cpu, Service=service) or 0) >= (total(cpu, Service=service, Resource=arn) or 0)
    assert eventually(lambda: total("ActiveSessionCount", "Maximum", Service=service)) >= 1


def test_errors_are_counted_by_cause(aws: RunningInstance) -> None:
    created, agentcore = interpreter(), client("bedrock-agentcore")
    arn, identifier = created["codeInterpreterArn"], created["codeInterpreterId"]
    session = agentcore.start_code_interpreter_session(codeInterpreterIdentifier=identifier)["sessionId"]
    names = {"codeInterpreterIdentifier": identifier, "sessionId": session}
    faults = FaultInjector(aws.agentcore_url)
    faults.inject(
        Rule("throttling", "executeCode", times=1), Rule("error", "readFiles", code="InternalServerException")
    )
    once: Any = cast("Any", boto3).client("bedrock-agentcore", config=Config(retries={"total_max_attempts": 1}))
    for call in (
        lambda: once.invoke_code_interpreter(
            **names, name="executeCode", arguments={"language": "python", "code": "1"}
        ),
        lambda: once.invoke_code_interpreter(**names, name="readFiles", arguments={"paths": ["a"]}),
        lambda: once.invoke_code_interpreter(**names | {"sessionId": "none"}, name="listFiles", arguments={}),
    ):
        with pytest.raises(once.exceptions.ClientError):
            list(call()["stream"])
    faults.clear()
    agentcore.stop_code_interpreter_session(**names)
    for name in ("Throttles", "SystemErrors", "UserErrors"):
        assert eventually(lambda name=name: total(name, Resource=arn, Operation="InvokeCodeInterpreter")) == 1
    assert total("Invocations", Resource=arn, Operation="InvokeCodeInterpreter") == 3


def test_usage_logs_have_each_interval_of_the_session(delivered: tuple[dict[str, str], str]) -> None:
    created, session = delivered
    entries = eventually(lambda: [each for each in messages(GROUP, session) if "elapsed_time_seconds" in each])
    assert {entry["resource_arn"] for entry in entries} == {created["codeInterpreterArn"]}
    assert {entry["session.id"] for entry in entries} == {session}
    arn, service = created["codeInterpreterArn"], "AgentCore.CodeInterpreter"
    hours = eventually(lambda: total("CPUUsed-vCPUHours", Service=service, Resource=arn))
    assert sum(entry["codeInterpreter.vcpu.hours.used"] for entry in entries) == pytest.approx(hours)


def test_application_logs_have_code_and_output(delivered: tuple[dict[str, str], str]) -> None:
    (entry,) = eventually(lambda: messages(GROUP, "secret-output"))
    assert (entry["session_id"], entry["trace_id"]) == (delivered[1], TRACE)
    assert entry["request_payload"]["arguments"]["code"].endswith("'secret-output')")
    assert "secret-output" in json.dumps(entry["response_payload"])


def test_spans_belong_to_the_trace_of_the_caller(delivered: tuple[dict[str, str], str]) -> None:
    spans = eventually(lambda: messages("aws/spans", delivered[1]), lambda found: len(found) == 3)
    assert {span["traceId"] for span in spans} == {TRACE}
    assert {span["parentSpanId"] for span in spans} == {"53995c3f42cd8ad8"}
    durations = {span["name"]: span["attributes"].get("session_duration_s") for span in spans}
    assert durations["InvokeCodeInterpreter"] is None
    assert durations["StopCodeInterpreterSession"] > 0


def test_session_that_is_not_stopped_has_a_span_of_its_end(
    aws: RunningInstance, delivered: tuple[dict[str, str], str]
) -> None:
    identifier = delivered[0]["codeInterpreterId"]
    session = client("bedrock-agentcore").start_code_interpreter_session(
        codeInterpreterIdentifier=identifier, sessionTimeoutSeconds=3600
    )["sessionId"]
    EmulatorClock(aws.agentcore_url).advance(4000)
    span = eventually(
        lambda: [each for each in messages("aws/spans", session) if each["name"] == "CodeInterpreterSessionExpire"]
    )[0]
    assert span["attributes"]["session_duration_s"] == 3600
    usage = [each for each in messages(GROUP, session) if "elapsed_time_seconds" in each]
    assert usage[-1]["elapsed_time_seconds"] == 3600, "one hour of memory is measured with an advanced clock"


def test_log_query_joins_usage_and_cost(delivered: tuple[dict[str, str], str]) -> None:
    eventually(lambda: messages(GROUP, delivered[1]))
    logs, now = client("logs"), int(time.time())
    query = (
        "filter ispresent(`session.id`) | stats sum(`codeInterpreter.vcpu.hours.used`) * 0.0895 as usd by `session.id`"
    )
    started = logs.start_query(logGroupName=GROUP, startTime=now - 600, endTime=now + 60, queryString=query)
    results = logs.get_query_results(queryId=started["queryId"])
    assert results["status"] == "Complete"
    rows = [{cell["field"]: cell["value"] for cell in row} for row in results["results"]]
    assert [row for row in rows if row["session.id"] == delivered[1] and float(row["usd"]) > 0]


def test_invalid_log_query_is_rejected(delivered: tuple[dict[str, str], str]) -> None:  # noqa: ARG001 - it creates the group
    logs = client("logs")
    with pytest.raises(logs.exceptions.MalformedQueryException, match="The command pattern is not supported"):
        logs.start_query(logGroupName=GROUP, startTime=0, endTime=1, queryString="pattern @message")


@pytest.mark.parametrize(
    ("log_type", "destination", "message"),
    [
        ("EVENTS", "telemetry-logs", "Valid options are"),
        ("TRACES", "telemetry-logs", "TRACES cannot be delivered to CWL"),
        ("USAGE_LOGS", "telemetry-traces", "USAGE_LOGS cannot be delivered to XRAY"),
    ],
)
def test_invalid_delivery_is_rejected(
    delivered: tuple[dict[str, str], str], log_type: str, destination: str, message: str
) -> None:
    logs, name = client("logs"), f"invalid-{log_type}"
    arn = logs.get_delivery_destination(name=destination)["deliveryDestination"]["arn"]
    with pytest.raises(logs.exceptions.ValidationException, match=message):
        logs.put_delivery_source(name=name, resourceArn=delivered[0]["codeInterpreterArn"], logType=log_type)
        logs.create_delivery(deliverySourceName=name, deliveryDestinationArn=arn)


@pytest.mark.usefixtures("aws")
def test_log_line_in_emf_triggers_an_alarm_whose_change_is_published() -> None:
    """Covers EMF, the alarm, its composite alarm, the event, the notification and the recovery."""
    cloudwatch, logs, sns, sqs, events = map(client, ("cloudwatch", "logs", "sns", "sqs", "events"))
    name = f"emf{time.time_ns()}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue_arn}])
    policy = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": queue_arn}
    attributes = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [policy]})}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace=name, MetricName="Runs", Dimensions=[{"Name": "service", "Value": "one"}],
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=2, TreatMissingData="notBreaching",
        ComparisonOperator="GreaterThanOrEqualToThreshold", AlarmActions=[topic],
    )  # fmt: skip
    cloudwatch.put_composite_alarm(AlarmName=f"{name}-any", AlarmRule=f"ALARM({name}) AND NOT OK({name})")
    group = {"logGroupName": name, "logStreamName": "s"}
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(**group)
    now = round(time.time() * 1000)
    directive = {"Namespace": name, "Dimensions": [["service"]], "Metrics": [{"Name": "Runs", "Unit": "Count"}]}
    line = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "service": "one", "Runs": [1, 1]}
    logs.put_log_events(**group, logEvents=[{"timestamp": now, "message": json.dumps(line)}])

    def states() -> dict[str, str]:
        described = cloudwatch.describe_alarms(AlarmNamePrefix=name, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        return {
            each["AlarmName"]: each["StateValue"]
            for kind in ("MetricAlarms", "CompositeAlarms")
            for each in described[kind]
        }

    assert states() == {name: "ALARM", f"{name}-any": "ALARM"}
    received = [
        json.loads(message["Body"])
        for _ in range(3)
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    ]
    changes = [each["detail"] for each in received if each.get("detail-type") == "CloudWatch Alarm State Change"]
    assert [each["state"]["value"] for each in changes if each["previousState"]["value"] == "OK"] == ["ALARM"]
    (notification,) = [json.loads(each["Message"]) for each in received if each.get("Type") == "Notification"]
    assert (notification["AlarmName"], notification["NewStateValue"]) == (name, "ALARM")

    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="test")
    assert states() == {name: "OK", f"{name}-any": "OK"}, "the state stays until the next evaluation"


def test_alarm_recovers_when_the_clock_is_advanced(aws: RunningInstance) -> None:
    cloudwatch, name = client("cloudwatch"), f"recovery{time.time_ns()}"
    query = {"Id": "q1", "Expression": f"SELECT SUM(Errors) FROM {name}", "Period": 300}  # noqa: S608 - no SQL
    cloudwatch.put_metric_alarm(
        AlarmName=name, Metrics=[query], EvaluationPeriods=1, Threshold=1, TreatMissingData="notBreaching",
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )  # fmt: skip

    def state() -> str:
        return cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    cloudwatch.put_metric_data(Namespace=name, MetricData=[{"MetricName": "Errors", "Value": 1}])
    assert state() == "ALARM"
    EmulatorClock(aws.agentcore_url).advance(3 * 300)
    eventually(state, lambda found: found == "OK")


@pytest.mark.usefixtures("aws")
def test_execution_has_metrics() -> None:
    roles, name = client("iam"), f"metrics{time.time_ns()}"
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = roles.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    states, cloudwatch = client("stepfunctions"), client("cloudwatch")
    definition = {"StartAt": "End", "States": {"End": {"Type": "Fail", "Error": "Test"}}}
    arn = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role["Role"]["Arn"])[
        "stateMachineArn"
    ]
    execution = states.start_execution(stateMachineArn=arn)["executionArn"]
    eventually(lambda: states.describe_execution(executionArn=execution)["status"], lambda status: status == "FAILED")
    listed = eventually(
        lambda: cloudwatch.list_metrics(Namespace="AWS/States", Dimensions=[{"Name": "StateMachineArn", "Value": arn}])[
            "Metrics"
        ],
        lambda found: len(found) == 3,
    )
    assert {each["MetricName"] for each in listed} == {"ExecutionsStarted", "ExecutionsFailed", "ExecutionTime"}
