"""The state machine `run-code`: one request in, one typed result out, or an error with the contract's name.

Not what a run does: that is the session function's. Here is what happens when it cannot do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from sandpiper_constructs.findings import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal
from sandpiper_contract.errors import ERRORS, RETRYABLE

if TYPE_CHECKING:
    from sandpiper_constructs.session_function import SessionFunction

RETRIED = (*RETRYABLE, "Lambda.TooManyRequestsException")
"""Errors after which the code surely has not run: the contract's, and Lambda's refusal to start the function.

Lambda's other service errors are left out on purpose: after them the function may have run.
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
"""
FIRST_WAIT_SECONDS = 2
LONGEST_WAIT_SECONDS = 60
ATTEMPTS = 8
WAITING_SECONDS = sum(min(FIRST_WAIT_SECONDS * 2**attempt, LONGEST_WAIT_SECONDS) for attempt in range(ATTEMPTS))
"""The longest that all retries wait together."""
START_SECONDS = 30
"""What a task may take beyond the function's own timeout: its start and the way back."""
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


class RunCodeWorkflow(Construct):
    """Takes a request of the contract, answers with its result.

    The function is sent the operation run_code, for this state of this execution. An error of the contract that may be
    retried is retried with growing, jittered waits; any other ends the execution as failed with that error's name and
    cause. Executions are logged without their data, since a request is somebody's code.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name: str,
        session_function: SessionFunction,
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
    ) -> None:
        """`name` is the state machine's, unique in its account and region."""
        super().__init__(scope, id)

        task_seconds = session_function.timeout_seconds + START_SECONDS
        run = tasks.LambdaInvoke(
            self,
            "RunCode",
            lambda_function=session_function.function,
            payload=sfn.TaskInput.from_object(
                {
                    "operation": "run_code",
                    "run": {"execution": sfn.JsonPath.execution_id, "state": sfn.JsonPath.state_name},
                    "request": sfn.JsonPath.object_at("$"),
                }
            ),
            payload_response_only=True,
            retry_on_service_exceptions=False,
            task_timeout=sfn.Timeout.duration(Duration.seconds(task_seconds)),
        )
        run.add_retry(
            errors=list(RETRIED),
            interval=Duration.seconds(FIRST_WAIT_SECONDS),
            max_delay=Duration.seconds(LONGEST_WAIT_SECONDS),
            backoff_rate=2,
            max_attempts=ATTEMPTS,
            jitter_strategy=sfn.JitterType.FULL,
        )
        failed = sfn.Fail(self, "RunFailed", error_path="$.Error", cause_path="$.Cause")
        # The contract's errors by name, so that a reader sees which there are; the rest is Lambda's own.
        run.add_catch(failed, errors=list(ERRORS))
        run.add_catch(failed, errors=["States.ALL"])

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
            comment="Runs code that nobody wrote by hand in a session of its own",
            definition_body=sfn.DefinitionBody.from_chainable(run),
            # A task's timeout ends a run that hangs, as a failure that alarms count. This one is for what is left.
            timeout=Duration.seconds(task_seconds + WAITING_SECONDS + (ATTEMPTS + 1) * START_SECONDS),
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
