"""A status in plain words: what needs somebody first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.render import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.status.model import InterpreterStatus, Status, TenantStatus


def report(status: Status) -> Iterator[Line]:
    """The whole status."""
    yield Line(f"{status.environment} in account {status.account}, {status.region}", tone="head")
    for one in status.drift:
        what = f"{one.resource} of {one.stack}, {one.property}"
        yield Line(f"! drift: {what}: expected {one.expected}; found {one.found}; {one.remedy}", 1, "loss")
    for alarm in status.alarms:
        yield Line(f"! alarm {alarm.name}: {alarm.reason}", 1, "loss")
    for stack in status.stacks:
        well = stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status
        text = f"stack {stack.name}: {stack.status} since {stack.changed:%Y-%m-%d %H:%M} UTC"
        yield Line(text, 1, "plain" if well else "loss")
    for tenant in status.tenants:
        yield from _tenant(tenant)
    if status.unchecked:
        yield Line(f"drift of these cannot be told: {', '.join(status.unchecked)}", 1, "note")


def _tenant(tenant: TenantStatus) -> Iterator[Line]:
    yield Line(f"tenant {tenant.name}", 1, "head")
    yield from (Line(_interpreter(one), 2) for one in tenant.interpreters)
    yield Line(f"function {tenant.function}: {tenant.function_state}", 2)
    yield Line(f"workflow {tenant.workflow.rpartition(':')[2]}", 2)
    for run in tenant.last_failures:
        yield Line(f"failed: {run.execution}{f' at {run.at:%Y-%m-%d %H:%M} UTC' if run.at else ''}", 3, "less")


def _interpreter(one: InterpreterStatus) -> str:
    sessions = "1 live session" if one.live_sessions == 1 else f"{one.live_sessions} live sessions"
    network = f", {one.network}" if one.network else ""
    return f"interpreter {one.key} ({one.identifier}): {one.status}{network}, {sessions}"
