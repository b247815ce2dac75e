"""Delivery of the logs and spans of AgentCore for the interpreters of a tenant.

https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.cdk_values import stack_uuid
from sandpiper_constructs.nag_suppressions import accept_log
from sandpiper_constructs.removal import removal_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from aws_cdk import aws_kms as kms

    from sandpiper_constructs.interpreter import CodeInterpreter

LOG_GROUP_FOLDER = "/aws/vendedlogs/bedrock-agentcore/code-interpreter/"
"""Services can write to groups below `/aws/vendedlogs/` without an entry for each in a resource policy, whose size is
limited. https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-vended-logs-permissions-V2.html"""
MAX_NAME_CHARACTERS, HASH_CHARACTERS = 60, 8
"""Of delivery sources and destinations."""


class LogType(StrEnum):
    """The logs that AgentCore delivers for an interpreter."""

    USAGE = "USAGE_LOGS"
    """CPU time and memory of each session, second by second."""
    TRACES = "TRACES"
    """A span for each start, call and stop of a session, in X-Ray."""
    APPLICATION = "APPLICATION_LOGS"
    """Requests and responses of calls: they contain code, data and output of users."""


_NAMES = {LogType.USAGE: "usage", LogType.TRACES: "traces", LogType.APPLICATION: "application"}
_CONTENT = {
    LogType.USAGE: "The usage of sessions contains no code and no data.",
    LogType.APPLICATION: "The reviewer of the environment has accepted that the log contains code and output.",
}


class InterpreterLogs(Construct):
    """Delivers usage to a log group, spans to X-Ray, and on request code and output to a separate log group.

    Example:
        ```python
        InterpreterLogs(
            stack, "InterpreterLogs", service="claims", interpreters={"python": interpreter}
        )
        ```

    Attributes:
        log_group_names: the names of the log groups by the type of their logs.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        service: str,
        interpreters: Mapping[str, CodeInterpreter],
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        usage: bool = True,
        traces: bool = True,
        application_logs: Collection[str] = (),
        key: kms.IKey | None = None,
        retain_logs: bool = True,
    ) -> None:
        """Creates the deliveries.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the name of the tenant, unique in the account: part of the names of log groups and destinations.
            interpreters: the interpreters by name.
            log_retention: how long log groups keep their events. Default: one month.
            usage: whether the usage of sessions is delivered. Default: True.
            traces: whether spans are delivered. Transaction Search of CloudWatch must be enabled in the account and
                Region. Default: True.
            application_logs: the names of the interpreters whose code and output are logged. Default: none.
            key: the KMS key of the log groups. Its policy must allow CloudWatch Logs. Default: a key of AWS.
            retain_logs: whether the log groups stay when their stack is deleted. Default: True.

        Raises:
            ValueError: `application_logs` names an interpreter that does not exist.
        """
        if unknown := sorted({*application_logs} - {*interpreters}):
            raise ValueError(f"application_logs names {unknown}; allowed: {' | '.join(interpreters)}")
        super().__init__(scope, id)
        self.log_group_names: dict[LogType, str] = {}
        selected: dict[LogType, Collection[str]] = {
            LogType.USAGE: interpreters if usage else (),
            LogType.TRACES: interpreters if traces else (),
            LogType.APPLICATION: application_logs,
        }
        for log_type, names in selected.items():
            if not names:
                continue
            destination = self._destination(log_type, service, log_retention, key, retain=retain_logs)
            for name, interpreter in interpreters.items():
                if name in names:
                    self._deliver(log_type, name, interpreter, destination)

    def _destination(
        self, log_type: LogType, service: str, retention: logs.RetentionDays, key: kms.IKey | None, *, retain: bool
    ) -> str:
        """Creates the destination of a type of logs, with its log group. Returns its ARN."""
        name, part = _NAMES[log_type], _NAMES[log_type].title()
        destination_name = _destination_name(service, name)
        if log_type is LogType.TRACES:
            destination = logs.CfnDeliveryDestination(
                self, f"{part}Destination", name=destination_name, delivery_destination_type="XRAY"
            )
            return destination.attr_arn
        # The name contains the id of the stack: a retained log group of an earlier stack does not block a new one.
        group = logs.LogGroup(
            self,
            f"{part}Logs",
            log_group_name=f"{LOG_GROUP_FOLDER}{service}/{log_type.value}/{stack_uuid()}",
            retention=retention,
            encryption_key=key,
            removal_policy=removal_policy(retain=retain),
        )
        accept_log(group, key, _CONTENT[log_type])
        self.log_group_names[log_type] = group.log_group_name
        destination = logs.CfnDeliveryDestination(
            self,
            f"{part}Destination",
            name=destination_name,
            delivery_destination_type="CWL",
            destination_resource_arn=group.log_group_arn,
            output_format="json",
        )
        return destination.attr_arn

    def _deliver(self, log_type: LogType, name: str, interpreter: CodeInterpreter, destination_arn: str) -> None:
        """Creates the source and the delivery of one interpreter.

        The source has the interpreter's name, which ends in a hash: a new interpreter gets a new source, and the one
        that it replaces keeps its source until it is deleted.
        """
        part = _NAMES[log_type]
        source = logs.CfnDeliverySource(
            self,
            f"{part.title()}Source-{name}",
            name=f"{interpreter.interpreter_name}-{part}",
            log_type=log_type.value,
            resource_arn=interpreter.interpreter_arn,
        )
        logs.CfnDelivery(
            self,
            f"{part.title()}Delivery-{name}",
            delivery_source_name=source.ref,
            delivery_destination_arn=destination_arn,
        )


def _destination_name(service: str, suffix: str) -> str:
    """Returns the name of a destination. A long service is shortened and ends in a hash."""
    longest = MAX_NAME_CHARACTERS - len(suffix) - 1
    if len(service) > longest:
        service_hash = hashlib.sha256(service.encode()).hexdigest()[:HASH_CHARACTERS]
        service = f"{service[: longest - HASH_CHARACTERS - 1]}-{service_hash}"
    return f"{service}-{suffix}"
