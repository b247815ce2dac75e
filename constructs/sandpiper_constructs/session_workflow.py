"""The construct `SessionWorkflow`: a state machine that invokes one session function, with its role and log."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, cast

from aws_cdk import Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sandpiper_constructs.cdk_values import location_of, seconds, stack_uuid
from sandpiper_constructs.key_statements import workflow_key_statements
from sandpiper_constructs.map_items import tasks_without_item
from sandpiper_constructs.nag_suppressions import EVENT_QUEUE, Acceptances
from sandpiper_constructs.principals import service_principal
from sandpiper_constructs.removal import removal_policy
from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_cdk import aws_kms as kms

    from sandpiper_constructs.session_function import SessionFunction

LOG_ACTIONS = (
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
)
"""https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-iam-policy"""
TRACE_ACTIONS = (
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
)
"""https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html"""
KEY_REUSE_SECONDS = 300
"""How long Step Functions reuses a data key, and so the time after which a disabled key takes effect: 60 to 900.

https://docs.aws.amazon.com/step-functions/latest/apireference/API_EncryptionConfiguration.html
"""


@dataclass(frozen=True, kw_only=True)
class StopHandling:
    """What happens when an execution does not succeed: an event is sent to the session function.

    Attributes:
        operation: the operation; its run has the execution.
        request: the request of the operation. A value that begins with `$.` is a path in the status event.
        statuses: the statuses of executions.
        child_executions: whether this includes executions of a Distributed Map.
    """

    operation: str = "stop_sessions"
    request: Mapping[str, Any] = field(default_factory=lambda: {"status": "$.detail.status"})
    statuses: Sequence[str] = ("FAILED", "TIMED_OUT", "ABORTED")
    child_executions: bool = True


STOP_SESSIONS = StopHandling()
NO_WILDCARDS: Mapping[str, str] = MappingProxyType({})


class WorkflowOptions(TypedDict, total=False):
    """The options that every workflow passes to `SessionWorkflow`.

    Attributes:
        log_retention: how long execution logs are kept. Default: one month.
        key: KMS key of the executions and of their log group, as of `SessionWorkflow`. Default: keys of AWS.
        retain_logs: whether the log group stays when its stack is deleted, until its events expire. Default: True.
    """

    log_retention: logs.RetentionDays
    key: kms.IKey | None
    retain_logs: bool


class SessionWorkflow(Construct):
    """Creates a state machine whose role can invoke one session function and write logs and traces.

    Execution logs contain no input or output, because a request contains user code.

    Example:
        ```python
        SessionWorkflow(
            stack,
            "Workflow",
            name="claims",
            session_function=function,
            states=lambda scope: OperationTask(scope, "Run", session_function=function, operation="run_code"),
            timeout_seconds=3600,
        )
        ```

    Attributes:
        state_machine: the state machine.
        state_machine_arn: its ARN, without a call to the process of the CDK.
        executions_arn: the ARN pattern of its executions, without child executions of a Distributed Map.
        all_executions_arns: the ARN patterns of its executions and of their child executions.
        is_express: whether it is an Express state machine, whose executions cause no events.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        session_function: SessionFunction,
        states: Callable[[Construct], sfn.IChainable],
        timeout_seconds: int,
        comment: str | None = None,
        query_language: sfn.QueryLanguage = sfn.QueryLanguage.JSON_PATH,
        express: bool = False,
        statements: Sequence[iam.PolicyStatement] = (),
        wildcards: Mapping[str, str] = NO_WILDCARDS,
        stop_handling: StopHandling = STOP_SESSIONS,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        key: kms.IKey | None = None,
        retain_logs: bool = True,
    ) -> None:
        """Creates the state machine, its role and its log.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the state machine's name, unique in its account and region.
            session_function: the function that its tasks invoke.
            states: creates the states in the scope that it receives, so that workflows of a stack can use the same
                names. Its result is the first state.
            timeout_seconds: maximum duration of an execution. A timeout runs no catch handler, so tasks and session
                lifetimes must end earlier.
            comment: the state machine's comment. Default: none.
            query_language: the language of the states. Default: JSONPath.
            express: whether it is an Express state machine: at most five minutes, no history, and no events, so that
                nothing stops the sessions of executions that time out. Default: false, a standard state machine.
            statements: further permissions of the role. Default: none.
            wildcards: the reasons for ARNs with a `*` in them. Default: none.
            stop_handling: what happens when an execution does not succeed. Default: its sessions are stopped.
            log_retention: how long execution logs are kept. Default: one month.
            key: KMS key of the definition, of the executions with their input and output, and of the log group. The
                policy of the key must allow this. Callers need `kms:Decrypt` to read executions. Default: keys of AWS.
            retain_logs: whether the log group stays when its stack is deleted, until its events expire. Default: True.

        Raises:
            ValueError: a task is in an inline Map and has no `item_path`, so that its items would be one run.
        """
        super().__init__(scope, id)
        self.is_express = express
        # The name instead of an attribute of the resource, so that `sandpiper status` can compare policies.
        self.executions_arn = location_of(scope).arn("states", f"execution:{name}:*")
        self.all_executions_arns = (self.executions_arn, f"{self.executions_arn.removesuffix(':*')}/*")
        # Step Functions writes to log groups with this prefix without listing them in the resource policy, whose size
        # is limited. https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
        # The name contains the id of the stack: a retained log group of an earlier stack does not block a new one.
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}/{stack_uuid()}",
            retention=log_retention,
            encryption_key=key,
            removal_policy=removal_policy(retain=retain_logs),
        )
        accepted = Acceptances()
        accepted.log(log_group, key, "The log of the workflow contains no input and no output.")
        self.state_machine = sfn.StateMachine(
            self,
            "Resource",
            state_machine_name=name,
            comment=comment,
            state_machine_type=sfn.StateMachineType.EXPRESS if express else None,
            query_language=query_language if query_language == sfn.QueryLanguage.JSONATA else None,
            definition_body=sfn.DefinitionBody.from_chainable(states(self)),
            timeout=seconds(timeout_seconds),
            role=_role(self, name, session_function, key, statements, wildcards, accepted).without_policy_updates(),
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
        )
        self.state_machine_arn = self.state_machine.state_machine_arn
        resource = cast("sfn.CfnStateMachine", self.state_machine.node.default_child)
        resource.encryption_configuration = _encryption(key)
        definition = json.loads(template_text(Stack.of(self).resolve(resource.definition_string)))
        for map_name, task in tasks_without_item(definition):
            raise ValueError(
                f"{task} is in the inline Map {map_name} and has no item_path, so that all items would be one run; "
                'pass item_path="$.index" to the task, and to the Map item_selector={"index.$": "$$.Map.Item.Index", …}'
                '; in JSONata item="{% $string($states.input.index) %}"'
            )
        if not express:
            _handle_stopped_executions(self, self.state_machine_arn, session_function, stop_handling, accepted)
        accepted.add_to(self)


def state_machine_arn(scope: Construct, name: str) -> str:
    """Returns the ARN of a state machine by its name, for its role, which exists before it."""
    return location_of(scope).arn("states", f"stateMachine:{name}")


@functools.cache
def _event_field(path: str) -> str:
    return events.EventField.from_path(path)


def _handle_stopped_executions(
    scope: Construct,
    state_machine_arn: str,
    session_function: SessionFunction,
    handling: StopHandling,
    accepted: Acceptances,
) -> None:
    """Creates a rule for executions that were stopped, timed out or failed.

    The first two run no Catch, and an execution can fail without one, or in it. A redrive could continue in an open
    session only while its lifetime lasts, for which every failed execution would be billed.

    Executions of a Distributed Map have the name of the Map after the state machine's ARN and a slash.
    https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
    """
    run = {"execution": _event_field("$.detail.executionArn")}
    request = {
        name: _event_field(value) if str(value).startswith("$.") else value for name, value in handling.request.items()
    }
    rule = events.Rule(
        scope,
        "Stopped",
        description="Stops the sessions of executions that failed, were stopped or timed out",
        event_pattern=events.EventPattern(
            source=["aws.states"],
            detail_type=["Step Functions Execution Status Change"],
            detail={
                "status": list(handling.statuses),
                "stateMachineArn": [
                    state_machine_arn,
                    *([{"prefix": f"{state_machine_arn}/"}] if handling.child_executions else []),
                ],
            },
        ),
    )
    event = events.RuleTargetInput.from_object({"operation": handling.operation, "run": run, "request": request})
    accepted.rules(rule, {EVENT_QUEUE: "EventBridge retries for 24 hours, longer than any session lives."})
    rule.add_target(cast("events.IRuleTarget", targets.LambdaFunction(session_function.function, event=event)))


def _encryption(key: kms.IKey | None) -> sfn.CfnStateMachine.EncryptionConfigurationProperty:
    """Returns the encryption, also for the default: CloudFormation keeps the key if the property is removed.

    The CDK's `EncryptionConfiguration` would also let all log deliveries of the account use a key of this app.
    """
    properties = sfn.CfnStateMachine.EncryptionConfigurationProperty
    if key is None:
        return properties(type="AWS_OWNED_KEY")
    return properties(
        type="CUSTOMER_MANAGED_KMS_KEY", kms_key_id=key.key_arn, kms_data_key_reuse_period_seconds=KEY_REUSE_SECONDS
    )


def _role(
    scope: Construct,
    name: str,
    session_function: SessionFunction,
    key: kms.IKey | None,
    statements: Sequence[iam.PolicyStatement],
    wildcards: Mapping[str, str],
    accepted: Acceptances,
) -> iam.Role:
    """Creates a role for one state machine, which can invoke one function and write logs and traces."""
    arn = state_machine_arn(scope, name)
    role = iam.Role(
        scope,
        "Role",
        assumed_by=service_principal(
            "states",
            conditions={
                "StringEquals": {"aws:SourceAccount": location_of(scope).account},
                "ArnEquals": {"aws:SourceArn": arn},
            },
        ),
        inline_policies={
            "RunCode": _document(
                [
                    _allow(["lambda:InvokeFunction"], session_function.function_arn),
                    _allow(LOG_ACTIONS, "*"),
                    _allow(TRACE_ACTIONS, "*"),
                ],
                [*statements, *(() if key is None else workflow_key_statements(scope, key, arn))],
            )
        },
    )
    reason = "IAM supports only * as the resource of these log delivery and X-Ray actions."
    accepted.policies(role, {"*": reason, **wildcards})
    return role


def _allow(actions: Sequence[str], resource: str) -> dict[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def _document(own: Sequence[Mapping[str, object]], others: Sequence[iam.PolicyStatement]) -> iam.PolicyDocument:
    """Returns a document of statements as JSON, which one call of the CDK reads, and of statements of callers."""
    document = iam.PolicyDocument.from_json({"Version": "2012-10-17", "Statement": list(own)})
    if others:
        document.add_statements(*others)
    return document
