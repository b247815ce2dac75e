"""The class `CodeInterpreterBase`: grants and metrics of any interpreter, created here or imported.

A principal that may start and use sessions also gets the permissions of the execution role.
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
from sandpiper_contract.aws import AGENTCORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RUN_ACTIONS = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
INVOKE_ACTIONS = ("InvokeCodeInterpreter", "GetCodeInterpreterSession")
USE_ACTIONS = (*RUN_ACTIONS, "GetCodeInterpreterSession", "ListCodeInterpreterSessions")
READ_ACTIONS = ("GetCodeInterpreter", "GetCodeInterpreterSession", "ListCodeInterpreterSessions")
_STATISTICS: dict[str, str] = {OperationMetric.LATENCY: PERCENTILE_90, OperationMetric.DURATION: AVERAGE}


class CodeInterpreterBase(Construct):
    """An interpreter of this app, an imported one, or the managed one.

    Create it with `CodeInterpreter`, `CodeInterpreter.from_arn` or `CodeInterpreter.managed`.

    Example:
        ```python
        interpreter = CodeInterpreter.managed(stack, "Managed")
        interpreter.grant_run(role)
        interpreter.metric_throttles().create_alarm(stack, "Throttles", threshold=5, evaluation_periods=1)
        ```

    Attributes:
        interpreter_arn: the ARN.
        interpreter_id: the identifier that requests use.
        network: SANDBOX, PUBLIC or VPC; UNKNOWN for an imported interpreter.
        certificates: ARNs of the secrets with root certificates that its sessions trust.
    """

    interpreter_arn: str
    interpreter_id: str
    network: str
    certificates: tuple[str, ...]

    def grant_run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows `grantee` to start sessions, run code in them and stop them, which is all that a run needs."""
        return self._grant_start(grantee, RUN_ACTIONS)

    def grant_list_sessions(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows `grantee` to list the sessions of all callers."""
        return self._grant(grantee, ("ListCodeInterpreterSessions",))

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows `grantee` to run code in sessions that other principals start, and to get their state."""
        return self._grant(grantee, INVOKE_ACTIONS)

    def grant_use(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows `grantee` all session operations, including a list of the sessions of all callers."""
        return self._grant_start(grantee, USE_ACTIONS)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allows `grantee` to get the interpreter and to get and list its sessions, but not to run code.

        `ListCodeInterpreters` is not included, because IAM can grant it for all interpreters of an account only.
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
        """Returns a metric that AgentCore publishes for the interpreter.

        Args:
            name: the metric's name, such as `OperationMetric.THROTTLES`.
            operation: limits the metric to one operation. Default: all operations.
            statistic: Default: p90 for latency, the average for durations, otherwise the sum.
            period: Default: 5 minutes.
            label: name of the line in a graph. Default: chosen by CloudWatch.
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
        """Returns the number of calls."""
        return self.metric(OperationMetric.INVOCATIONS, operation=operation)

    def metric_throttles(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Returns the number of throttled calls."""
        return self.metric(OperationMetric.THROTTLES, operation=operation)

    def metric_system_errors(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Returns the number of calls that failed with an error of AgentCore."""
        return self.metric(OperationMetric.SYSTEM_ERRORS, operation=operation)

    def metric_user_errors(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Returns the number of calls that failed with an error of the caller."""
        return self.metric(OperationMetric.USER_ERRORS, operation=operation)

    def metric_latency(self, operation: Operation = Operation.INVOKE) -> cloudwatch.Metric:
        """Returns the time until a response begins, in milliseconds, as p90."""
        return self.metric(OperationMetric.LATENCY, operation=operation)

    def metric_duration(self) -> cloudwatch.Metric:
        """Returns the average duration of sessions, in the unit that AgentCore publishes."""
        return self.metric(OperationMetric.DURATION, operation=Operation.SESSION)

    def metric_usage(self, usage: Usage, *, label: str | None = None) -> cloudwatch.Metric:
        """Returns the vCPU hours or GB hours of its sessions, which AgentCore publishes up to an hour late."""
        return cloudwatch.Metric(
            namespace=AGENTCORE_NAMESPACE,
            metric_name=usage.value,
            dimensions_map={"Service": SERVICE, "Resource": self.interpreter_arn},
            statistic=SUM,
            period=Duration.hours(1),
            label=label,
        )

    def _grant(self, grantee: iam.IGrantable, actions: Sequence[str]) -> iam.Grant:
        return _grant(grantee, [self], actions)

    def _grant_start(self, grantee: iam.IGrantable, actions: Sequence[str]) -> iam.Grant:
        return _grant_start(grantee, [self], actions)


def grant_run(grantee: iam.IGrantable, interpreters: Iterable[CodeInterpreterBase]) -> iam.Grant:
    """Allows `grantee` to start sessions of several interpreters, run code in them and stop them."""
    return _grant_start(grantee, list(interpreters), RUN_ACTIONS)


def grant_list_sessions(grantee: iam.IGrantable, interpreters: Iterable[CodeInterpreterBase]) -> iam.Grant:
    """Allows `grantee` to list the sessions of all callers of several interpreters."""
    return _grant(grantee, list(interpreters), ("ListCodeInterpreterSessions",))


def _grant(grantee: iam.IGrantable, interpreters: Sequence[CodeInterpreterBase], actions: Sequence[str]) -> iam.Grant:
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=[f"{AGENTCORE}:{action}" for action in actions],
        resource_arns=[interpreter.interpreter_arn for interpreter in interpreters],
    )


def _grant_start(
    grantee: iam.IGrantable, interpreters: Sequence[CodeInterpreterBase], actions: Sequence[str]
) -> iam.Grant:
    """Also grants the secrets of the certificates: AgentCore reads them as the caller that starts a session.

    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
    """
    certificates = [arn for interpreter in interpreters for arn in interpreter.certificates]
    if certificates:
        iam.Grant.add_to_principal(
            grantee=grantee, actions=["secretsmanager:GetSecretValue"], resource_arns=certificates
        ).assert_success()
    return _grant(grantee, interpreters, actions)
