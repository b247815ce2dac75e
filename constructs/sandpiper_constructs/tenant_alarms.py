"""Creates the alarms of a tenant, which `alarm_table` lists, and the rules that count failures of the platform."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from aws_cdk import aws_events as events

from sandpiper_constructs.alarm_table import AlarmStack, alarm_row
from sandpiper_constructs.alarms import Alarms, AlarmSpec, require_positive
from sandpiper_constructs.metrics import (
    AnomalyBand,
    MetricData,
    Operation,
    daily_cost_metric,
    execution_metric,
    function_metric,
    matched_events_metric,
    operation_metric,
    run_count_metric,
)
from sandpiper_constructs.nag_suppressions import EVENT_QUEUE, accept
from sandpiper_contract import metric_table as table
from sandpiper_contract.errors import AUTHOR_FAULTS
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase
    from sandpiper_constructs.session_function import SessionFunction
    from sandpiper_constructs.session_workflow import SessionWorkflow


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The thresholds of the alarms of a tenant: events in five minutes, unless another unit is stated.

    Attributes:
        errors: failed runs, without those that their author has to correct.
        throttles: throttled calls.
        timed_out: executions that reached the maximum duration of the workflow.
        aborted: executions that a caller stopped.
        sessions_not_stopped: sessions that could not be stopped.
        access_denied: runs to which AgentCore or S3 denied access.
        duration_percent: the longest invocation of the session function, in percent of its timeout.
        latency_deviations: standard deviations between the expected latency of AgentCore and the alarm.
        skipped_files: files that were not returned.
        daily_usd: estimated cost in 24 hours in US dollars.
    """

    errors: int = 1
    throttles: int = 5
    timed_out: int = 1
    aborted: int = 5
    sessions_not_stopped: int = 1
    access_denied: int = 1
    duration_percent: int = 90
    latency_deviations: int = 3
    skipped_files: int = 20
    daily_usd: int = 50

    def __post_init__(self) -> None:
        """Raises ValueError for a threshold below 1."""
        for name, threshold in asdict(self).items():
            require_positive(name, threshold)


class TenantAlarms(Alarms):
    """Creates the alarms of a tenant, which `alarm_table` lists, and rules that count failures of the platform.

    Example:
        ```python
        TenantAlarms(stack, "Alarms", service="claims", workflow=workflow, name_prefix="claims")
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        service: str,
        workflow: SessionWorkflow,
        name_prefix: str,
        other_workflows: Mapping[str, SessionWorkflow] | None = None,
        session_function: SessionFunction | None = None,
        interpreter: CodeInterpreterBase | None = None,
        thresholds: Thresholds | None = None,
        topic_arn: str | None = None,
        owner_topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms. Those of a further workflow have its name at the end: `NAME_PREFIX-errors-WORKFLOW`.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the `service` of the session function.
            workflow: the workflow whose executions are counted.
            name_prefix: first part of each alarm's name.
            other_workflows: further workflows by name, each with its own alarms. Default: none.
            session_function: the function whose duration is compared with its timeout. Default: no such alarm.
            interpreter: the interpreter whose latency is compared with its usual one. Default: no such alarm.
            thresholds: the threshold of each alarm. Default: those of `Thresholds`.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
            owner_topic_arn: SNS topic for the alarms that the owner of the tenant acts on. Default: `topic_arn`.
        """
        limits = thresholds or Thresholds()
        specs = [
            *_workflow_specs(scope, f"{id}-PlatformFailures", workflow, limits),
            _spec("throttles", run_count_metric(service, Metric.THROTTLED), limits.throttles),
            _spec(
                "sessions-not-stopped",
                run_count_metric(service, Metric.SESSIONS_NOT_STOPPED),
                limits.sessions_not_stopped,
            ),
            _spec("access-denied", run_count_metric(service, Metric.ACCESS_DENIED), limits.access_denied),
            _spec("duplicate-executions", run_count_metric(service, Metric.DUPLICATE_EXECUTIONS), 1),
            _spec("skipped-files", run_count_metric(service, Metric.FILES_SKIPPED), limits.skipped_files),
            _spec("daily-spend", daily_cost_metric(service), limits.daily_usd),
        ]
        if session_function is not None:
            specs.append(_near_deadline(session_function, limits.duration_percent))
        if interpreter is not None:
            specs.append(_slow(interpreter, limits.latency_deviations))
        for name, other in (other_workflows or {}).items():
            specs += _workflow_specs(scope, f"{id}-PlatformFailures-{name}", other, limits, name)
        super().__init__(
            scope, id, name_prefix=name_prefix, specs=specs, topic_arn=topic_arn, owner_topic_arn=owner_topic_arn
        )


class WorkflowAlarms(Alarms):
    """Creates the alarms `errors`, `timed-out` and `aborted` of a state machine that its author wrote.

    Those of `TenantAlarms` that count operations include its operations, and not its failed executions.

    Example:
        ```python
        WorkflowAlarms(
            stack, "NightlyAlarms", name_prefix="nightly", state_machine_arn=workflow.state_machine_arn
        )
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name_prefix: str,
        state_machine_arn: str,
        is_express: bool = False,
        thresholds: Thresholds | None = None,
        topic_arn: str | None = None,
    ) -> None:
        """Creates the alarms, which notify by themselves.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name_prefix: first part of each alarm's name.
            state_machine_arn: the state machine.
            is_express: whether it is an Express workflow, of which all failures are counted. Default: False.
            thresholds: the threshold of each alarm. Default: those of `Thresholds`.
            topic_arn: SNS topic that receives a message when an alarm starts and ends. Default: no notification.
        """
        executions = _Executions(state_machine_arn, is_express)
        found = _workflow_specs(scope, f"{id}-PlatformFailures", executions, thresholds or Thresholds())
        specs = [replace(each, group="") for each in found]
        super().__init__(scope, id, name_prefix=name_prefix, specs=specs, topic_arn=topic_arn)


@dataclass(frozen=True)
class _Executions:
    """A state machine that is not a `SessionWorkflow`."""

    state_machine_arn: str
    is_express: bool


def _workflow_specs(
    scope: Construct, rule_id: str, workflow: SessionWorkflow | _Executions, limits: Thresholds, name: str = ""
) -> list[AlarmSpec]:
    """Returns the alarms on the executions of one workflow.

    Step Functions sends no events of Express executions, so that all their failures are counted. They cannot
    be stopped.
    """
    arn = workflow.state_machine_arn
    timed_out = _spec("timed-out", execution_metric(arn, table.EXECUTIONS_TIMED_OUT), limits.timed_out, name)
    if workflow.is_express:
        return [_spec("errors", execution_metric(arn, table.EXECUTIONS_FAILED), limits.errors, name), timed_out]
    return [
        _spec("errors", matched_events_metric(_platform_failures(scope, rule_id, arn)), limits.errors, name),
        timed_out,
        _spec("aborted", execution_metric(arn, table.EXECUTIONS_ABORTED), limits.aborted, name),
    ]


def _near_deadline(function: SessionFunction, percent: int) -> AlarmSpec:
    """Returns the alarm on the longest invocation. The metric is in milliseconds."""
    metric = function_metric(function.function_name, table.FUNCTION_DURATION)
    return replace(_spec("near-deadline", metric, function.timeout_seconds * percent * 10), statistic="Maximum")


def _slow(interpreter: CodeInterpreterBase, deviations: int) -> AlarmSpec:
    """Returns the alarm on an unusual latency for 15 minutes, so that a single slow call does not trigger it."""
    metric = operation_metric(interpreter.interpreter_arn, table.LATENCY, Operation.INVOKE)
    return replace(_spec("latency", AnomalyBand(metric=metric), deviations), periods=3, breaching_periods=3)


def _spec(name: str, metric: MetricData | AnomalyBand, threshold: int, workflow: str = "") -> AlarmSpec:
    row = alarm_row(AlarmStack.TENANT, name)
    return AlarmSpec(
        name=f"{name}-{workflow}" if workflow else name,
        metric=metric,
        threshold=threshold,
        description=row.description(f"Workflow: {workflow}." if workflow else ""),
        team=row.team,
        group=row.group,
    )


def _platform_failures(scope: Construct, id_: str, state_machine_arn: str) -> str:
    """Creates a rule that matches failed executions, without those that their author has to correct.

    The metric ExecutionsFailed has no dimension for the error. CloudWatch counts the events that a rule matches, so the
    rule has no target. A failure without an error is counted.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html

    Returns:
        The name of the rule.
    """
    rule = events.CfnRule(
        scope,
        id_,
        description="Counts failed executions that their author cannot correct",
        event_pattern={
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {
                "status": ["FAILED"],
                "stateMachineArn": [state_machine_arn],
                "error": [{"anything-but": list(AUTHOR_FAULTS)}, {"exists": False}],
            },
        },
    )
    accept(rule, {EVENT_QUEUE: "The rule has no target. CloudWatch counts the events that it matches."})
    return rule.ref
