"""What can be done with an interpreter, however it was had: grants to those who call it, and its metrics.

Whoever may start and use sessions holds the execution role's permissions as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from constructs import Construct

from sandpiper_constructs.metrics import (
    AGENTCORE_NAMESPACE,
    AVERAGE,
    PERCENTILE_90,
    PERIOD,
    SERVICE,
    SUM,
    Operation,
    OperationMetric,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

RUN_ACTIONS = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
INVOKE_ACTIONS = ("InvokeCodeInterpreter", "GetCodeInterpreterSession")
USE_ACTIONS = (*RUN_ACTIONS, "GetCodeInterpreterSession", "ListCodeInterpreterSessions")
READ_ACTIONS = ("GetCodeInterpreter", "GetCodeInterpreterSession", "ListCodeInterpreterSessions")
_STATISTICS: dict[str, str] = {OperationMetric.LATENCY: PERCENTILE_90, OperationMetric.DURATION: AVERAGE}


class ICodeInterpreter(Construct):
    """An interpreter of this app, of another stack, or AWS's own. Made by `CodeInterpreter` and its class methods."""

    interpreter_arn: str
    interpreter_id: str
    network: str
    """SANDBOX, PUBLIC, VPC; or UNKNOWN, of an interpreter that was not made here."""
    certificates: tuple[str, ...]
    """ARNs of the secrets with root certificates that its sessions trust."""

    def grant_run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets `grantee` start sessions, run code in them and stop them: all that a run needs."""
        return self._grant_starting(grantee, RUN_ACTIONS)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets `grantee` run code in sessions that others start, and ask for their state."""
        return self._grant(grantee, INVOKE_ACTIONS)

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets `grantee` do everything with sessions. Who lists them also finds those of other callers."""
        return self._grant_starting(grantee, USE_ACTIONS)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets `grantee` see the interpreter and its sessions, and run nothing.

        Not ListCodeInterpreters, which IAM knows for all interpreters of the account alone.
        """
        return self._grant(grantee, READ_ACTIONS)

    def metric(
        self,
        name: str,
        *,
        operation: Operation | None = None,
        statistic: str | None = None,
        period: Duration = PERIOD,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        """What AgentCore measures of the interpreter, of one operation if there is one.

        A sum, unless `statistic` says otherwise; latency is the 90th percentile and a duration the average.
        """
        dimensions = {"Resource": self.interpreter_arn}
        return cloudwatch.Metric(
            namespace=AGENTCORE_NAMESPACE,
            metric_name=str(name),
            dimensions_map=dimensions | ({"Operation": operation.value} if operation else {}),
            statistic=statistic or _STATISTICS.get(name, SUM),
            period=period,
            label=label,
        )

    def metric_invocations(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Calls of an operation."""
        return self.metric(OperationMetric.INVOCATIONS, operation=operation)

    def metric_throttles(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Calls that were refused for their number."""
        return self.metric(OperationMetric.THROTTLES, operation=operation)

    def metric_system_errors(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Calls that failed by AgentCore's fault."""
        return self.metric(OperationMetric.SYSTEM_ERRORS, operation=operation)

    def metric_user_errors(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Calls that failed by the caller's fault."""
        return self.metric(OperationMetric.USER_ERRORS, operation=operation)

    def metric_latency(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Milliseconds to the first answer, the 90th percentile."""
        return self.metric(OperationMetric.LATENCY, operation=operation)

    def metric_duration(self) -> cloudwatch.Metric:
        """How long sessions lived, on average, in the unit that AgentCore reports."""
        return self.metric(OperationMetric.DURATION, operation=Operation.SESSION)

    def metric_usage(self, usage: Usage, *, label: str | None = None) -> cloudwatch.Metric:
        """Hours of a vCPU or of a GB that its sessions used, up to an hour late."""
        return cloudwatch.Metric(
            namespace=AGENTCORE_NAMESPACE,
            metric_name=usage.value,
            dimensions_map={"Service": SERVICE, "Resource": self.interpreter_arn},
            statistic=SUM,
            period=Duration.hours(1),
            label=label,
        )

    def _grant(self, grantee: iam.IGrantable, actions: Sequence[str]) -> iam.Grant:
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=[f"bedrock-agentcore:{action}" for action in actions],
            resource_arns=[self.interpreter_arn],
        )

    def _grant_starting(self, grantee: iam.IGrantable, actions: Sequence[str]) -> iam.Grant:
        """With the secrets of its certificates: AgentCore reads them as the caller that starts a session.

        https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
        """
        if self.certificates:
            iam.Grant.add_to_principal(
                grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=list(self.certificates)
            ).assert_success()
        return self._grant(grantee, actions)
