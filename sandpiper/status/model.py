"""The status as data: `sandpiper status --json` prints these types with camelCase names."""

import datetime

from sandpiper.plan.model import JsonModel


class StackStatus(JsonModel):
    """A stack, and the time of its last change; `orphaned` if the environment file no longer contains it."""

    name: str
    status: str
    changed: datetime.datetime
    orphaned: bool


class InterpreterStatus(JsonModel):
    """An interpreter by its key in requests; `status` is AgentCore's, or DELETED when it does not exist."""

    key: str
    identifier: str
    network: str
    status: str
    live_sessions: int


class FailedRun(JsonModel):
    """A failed execution of the workflow."""

    execution: str
    at: datetime.datetime | None


class TenantStatus(JsonModel):
    """A tenant: its interpreters, its session function, its workflow and the latest failed executions."""

    name: str
    function: str
    function_state: str
    workflow: str
    interpreters: tuple[InterpreterStatus, ...]
    last_failures: tuple[FailedRun, ...]


class AlarmStatus(JsonModel):
    """An alarm in state ALARM."""

    name: str
    reason: str


class Drift(JsonModel):
    """A property of a deployed resource that differs from the template."""

    stack: str
    resource: str
    property: str
    expected: str
    found: str
    remedy: str


class ExternalResource(JsonModel):
    """A problem of an existing role or bucket, which the environment uses and does not manage."""

    resource: str
    problem: str
    remedy: str


class AuditStatus(JsonModel):
    """The audit trail; `problems` are what it does not record, each with the remedy."""

    trail: str
    problems: tuple[str, ...]


class Status(JsonModel):
    """Everything that is deployed of an environment.

    Attributes:
        warnings: warnings about the environment file, such as permissions that have expired.
        external_resources: problems of existing roles and buckets, and those that could not be checked.
        audit: the audit trail of the environment file; None without one.
        unchecked: resources and properties that could not be compared with their templates.
    """

    environment: str
    account: str
    region: str
    warnings: tuple[str, ...]
    stacks: tuple[StackStatus, ...]
    tenants: tuple[TenantStatus, ...]
    alarms: tuple[AlarmStatus, ...]
    audit: AuditStatus | None = None
    drift: tuple[Drift, ...]
    unchecked: tuple[str, ...]
    external_resources: tuple[ExternalResource, ...] = ()

    @property
    def is_as_described(self) -> bool:
        """Whether there is no drift, no problem of an existing role or bucket, and the audit trail records."""
        return not (self.drift or self.external_resources or (self.audit and self.audit.problems))
