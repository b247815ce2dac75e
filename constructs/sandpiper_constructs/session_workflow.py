"""A state machine that calls the session function and nothing else: its role, its log and its time.

Not its states: those are `OperationTask`s and whatever Step Functions does by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from sandpiper_constructs.nag_suppressions import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from collections.abc import Callable

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


class SessionWorkflow(Construct):
    """A standard state machine whose role invokes one session function, and writes logs and traces.

    Executions are logged without their data, since a request is somebody's code.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name: str,
        session_function: SessionFunction,
        states: Callable[[Construct], sfn.IChainable],
        timeout_seconds: int,
        comment: str | None = None,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
    ) -> None:
        """`name` is the state machine's, unique in its account and region.

        `states` makes the states in the scope that it is given, so that workflows of a stack may use the same names.
        An execution that is longer than `timeout_seconds` is ended where it is, and catches nothing: let tasks and the
        lifetimes of sessions end before it.
        """
        super().__init__(scope, id)
        # Named so that Step Functions need not list every group in a resource policy, which has room for few.
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=log_retention,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.state_machine = sfn.StateMachine(
            self,
            "Resource",
            state_machine_name=name,
            comment=comment,
            definition_body=sfn.DefinitionBody.from_chainable(states(self)),
            timeout=Duration.seconds(timeout_seconds),
            role=_role(self, name, session_function).without_policy_updates(),
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
        )


def _role(scope: Construct, name: str, session_function: SessionFunction) -> iam.Role:
    """A role for one state machine: it invokes one function, writes logs and traces."""
    stack = Stack.of(scope)
    this_state_machine = f"arn:{stack.partition}:states:{stack.region}:{stack.account}:stateMachine:{name}"
    role = iam.Role(
        scope,
        "Role",
        assumed_by=service_principal(
            "states",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnEquals": {"aws:SourceArn": this_state_machine},
            },
        ),
        inline_policies={
            "RunCode": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(
                        actions=["lambda:InvokeFunction"], resources=[session_function.function.function_arn]
                    ),
                    iam.PolicyStatement(actions=list(LOG_ACTIONS), resources=["*"]),
                    iam.PolicyStatement(actions=list(TRACE_ACTIONS), resources=["*"]),
                ]
            )
        },
    )
    reason = "Log deliveries of a workflow and X-Ray's writes name no resource: IAM takes only * for these actions."
    acknowledge_wildcards(role, {"*": reason})
    return role
