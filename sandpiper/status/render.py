"""Prints a status as sentences: drift, existing resources and alarms first, then stacks and tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import MINUTE_FORMAT, Line, count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.status.model import InterpreterStatus, Status, TenantStatus


def report(status: Status) -> Iterator[Line]:
    """Yields the lines of the report."""
    yield Line(f"Status of environment {status.environment} in account {status.account}, {status.region}", tone="head")
    yield from (Line(warning, 1, "less") for warning in status.warnings)
    for one in status.drift:
        location = f"{one.resource} of {one.stack}, {one.property}"
        yield Line(f"! drift: {location}: expected: {one.expected}; found: {one.found}; {one.remedy}", 1, "loss")
    for problem in status.external_resources:
        yield Line(f"! {problem.resource} {problem.problem}; {problem.remedy}", 1, "loss")
    for alarm in status.alarms:
        yield Line(f"! alarm {alarm.name}: {alarm.reason}", 1, "loss")
    if status.audit is not None:
        yield from (Line(f"! audit: {problem}", 1, "loss") for problem in status.audit.problems)
        if not status.audit.problems:
            yield Line(f"audit trail {status.audit.trail}: records this environment", 1)
    for stack in status.stacks:
        is_healthy = stack.status.endswith("_COMPLETE") and "ROLLBACK" not in stack.status
        text = f"stack {stack.name}: {stack.status} since {stack.changed:{MINUTE_FORMAT}}"
        yield Line(text, 1, "plain" if is_healthy else "loss")
        if stack.orphaned:
            delete = f"aws cloudformation delete-stack --stack-name {stack.name}"
            yield Line(f"orphaned: the environment file no longer contains it; to delete it, run `{delete}`", 2, "less")
    for tenant in status.tenants:
        yield from _tenant(tenant)
    if status.unchecked:
        count = count_of(len(status.unchecked), "resource or property", "resources or properties")
        yield Line(f"{count} not checked for drift, because current values cannot be compared:", 1, "note")
        yield from (Line(one, 2, "note") for one in status.unchecked)


def _tenant(tenant: TenantStatus) -> Iterator[Line]:
    yield Line(f"tenant {tenant.name}", 1, "head")
    yield from (Line(_interpreter(one), 2) for one in tenant.interpreters)
    yield Line(f"function {tenant.function}: {tenant.function_state}", 2)
    yield Line(f"workflow {tenant.workflow.rpartition(':')[2]}", 2)
    for run in tenant.last_failures:
        yield Line(f"failed execution: {run.execution}{f' at {run.at:{MINUTE_FORMAT}}' if run.at else ''}", 3, "less")


def _interpreter(one: InterpreterStatus) -> str:
    network = f", {one.network}" if one.network else ""
    sessions = count_of(one.live_sessions, "live session")
    return f"interpreter {one.key} ({one.identifier}): {one.status}{network}, {sessions}"
