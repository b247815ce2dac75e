"""The status of an environment as programs get it: `sandpiper status --json` prints these types, in camelCase."""

import datetime

from sandpiper.plan.model import Part


class StackStatus(Part):
    """A stack, and when it was last changed."""

    name: str
    status: str
    changed: datetime.datetime


class InterpreterStatus(Part):
    """An interpreter by the key that requests use. `status` is AgentCore's, or DELETED for one that is not there."""

    key: str
    identifier: str
    network: str
    status: str
    live_sessions: int


class FailedRun(Part):
    """An execution of the workflow that failed."""

    execution: str
    at: datetime.datetime | None


class TenantStatus(Part):
    """A tenant: its interpreters, its function with Lambda's state of it, its workflow and the latest failures."""

    name: str
    function: str
    function_state: str
    workflow: str
    interpreters: tuple[InterpreterStatus, ...]
    last_failures: tuple[FailedRun, ...]


class AlarmStatus(Part):
    """An alarm that is in alarm."""

    name: str
    reason: str


class Drift(Part):
    """A property of a deployed resource that is not what its template says."""

    stack: str
    resource: str
    property: str
    expected: str
    found: str
    remedy: str


class Status(Part):
    """All that is deployed of an environment. Of the resources and properties in `unchecked`, drift cannot be told."""

    environment: str
    account: str
    region: str
    stacks: tuple[StackStatus, ...]
    tenants: tuple[TenantStatus, ...]
    alarms: tuple[AlarmStatus, ...]
    drift: tuple[Drift, ...]
    unchecked: tuple[str, ...]
