"""All alarms of an environment as one table, from which the alarms and docs/alarms.md are made.

It contains data only and imports nothing of the CDK.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class AlarmStack(StrEnum):
    """The stack that an alarm belongs to."""

    TENANT = "tenant"
    FLEET = "fleet"
    NETWORK = "network"


class Team(StrEnum):
    """The team that an alarm is for, as its description says. It decides which topic is notified."""

    PLATFORM = "platform team"
    SECURITY = "security team"
    OWNER = "owner of the tenant"


@dataclass(frozen=True, kw_only=True)
class AlarmRow:
    """One alarm.

    Attributes:
        name: the last part of the alarm's name, and its construct id in title case.
        stack: the stack that it belongs to.
        metric: namespace and name of its metric.
        option: the option of the environment file that sets its threshold. Default: none does.
        threshold: the default of the threshold, as text where it is derived from a quota.
        period: how often the metric is evaluated.
        meaning: what happened.
        team: the team that it is for.
        group: the composite alarm that notifies instead of it. Default: it notifies itself.
        runbook: the file in docs/runbooks without its extension. Default: the alarm's name.
    """

    name: str
    stack: AlarmStack
    metric: str
    option: str | None = None
    threshold: int | str
    period: str = "5 minutes"
    meaning: str
    team: Team
    group: str = ""
    runbook: str = ""

    @property
    def runbook_path(self) -> str:
        """Returns the path of the runbook in the repository."""
        return f"docs/runbooks/{self.runbook or self.name}.md"

    def description(self, detail: str = "") -> str:
        """Returns the alarm's description, which a notification contains.

        Args:
            detail: a sentence about the environment that follows the meaning.
        """
        sentences = (self.meaning, detail, f"For the {self.team}.", f"Runbook: {self.runbook_path}")
        return " ".join(filter(None, sentences))


@dataclass(frozen=True, kw_only=True)
class CompositeRow:
    """A composite alarm, which is in the state ALARM while any alarm of its group is.

    Attributes:
        name: the last part of the alarm's name, and the group of its alarms.
        stack: the stack that it belongs to.
        meaning: what happened.
        team: the team that it is for.
    """

    name: str
    stack: AlarmStack
    meaning: str
    team: Team

    @property
    def runbook_path(self) -> str:
        """Returns the path of the runbook in the repository."""
        return f"docs/runbooks/{self.name}.md"

    def description(self) -> str:
        """Returns the alarm's description, which a notification contains."""
        return f"{self.meaning} For the {self.team}. Runbook: {self.runbook_path}"


RUNS_FAIL, QUOTA_PRESSURE, THROTTLING = "runs-fail", "quota-pressure", "throttling"
COMPOSITES = (
    CompositeRow(
        name=RUNS_FAIL,
        stack=AlarmStack.TENANT,
        meaning="Runs of this tenant fail, are throttled or are slow because of the platform.",
        team=Team.PLATFORM,
    ),
    CompositeRow(
        name=QUOTA_PRESSURE,
        stack=AlarmStack.FLEET,
        meaning="The account is close to one of its quotas.",
        team=Team.PLATFORM,
    ),
    CompositeRow(
        name=THROTTLING,
        stack=AlarmStack.FLEET,
        meaning="AgentCore or Lambda throttles this account.",
        team=Team.PLATFORM,
    ),
)
"""The composite alarms. One cause triggers several alarms of a group, which notify once."""


def _call_rate(name: str, operation: str) -> AlarmRow:
    """Returns the alarm on the rate of an operation."""
    return AlarmRow(
        name=name,
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore Invocations",
        option="alarms.quota_percent",
        threshold="80% of the quota",
        period="1 minute",
        meaning=f"The account is close to its quota of calls per second of {operation}.",
        team=Team.PLATFORM,
        group=QUOTA_PRESSURE,
        runbook="call-rate",
    )


ROWS = (
    AlarmRow(
        name="errors",
        stack=AlarmStack.TENANT,
        metric="AWS/Events MatchedEvents",
        option="tenants.NAME.alarms.errors",
        threshold=1,
        meaning="Runs failed without a result because of the platform. Errors that the author of a request or of a "
        "program has to correct are not counted.",
        team=Team.PLATFORM,
        group=RUNS_FAIL,
    ),
    AlarmRow(
        name="throttles",
        stack=AlarmStack.TENANT,
        metric="Sandpiper Throttled",
        option="tenants.NAME.alarms.throttles",
        threshold=5,
        meaning="AgentCore throttles calls of this tenant.",
        team=Team.PLATFORM,
        group=RUNS_FAIL,
    ),
    AlarmRow(
        name="timed-out",
        stack=AlarmStack.TENANT,
        metric="AWS/States ExecutionsTimedOut",
        option="tenants.NAME.alarms.timed_out",
        threshold=1,
        meaning="Executions of the workflow reached its maximum duration.",
        team=Team.PLATFORM,
        group=RUNS_FAIL,
    ),
    AlarmRow(
        name="aborted",
        stack=AlarmStack.TENANT,
        metric="AWS/States ExecutionsAborted",
        option="tenants.NAME.alarms.aborted",
        threshold=5,
        meaning="Executions of the workflow were stopped by a caller.",
        team=Team.OWNER,
    ),
    AlarmRow(
        name="sessions-not-stopped",
        stack=AlarmStack.TENANT,
        metric="Sandpiper SessionsNotStopped",
        option="tenants.NAME.alarms.sessions_not_stopped",
        threshold=1,
        meaning="Sessions could not be stopped. They cost money until their lifetime expires.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="access-denied",
        stack=AlarmStack.TENANT,
        metric="Sandpiper AccessDenied",
        option="tenants.NAME.alarms.access_denied",
        threshold=1,
        meaning="AgentCore or S3 denied access to runs of this tenant.",
        team=Team.SECURITY,
    ),
    AlarmRow(
        name="near-deadline",
        stack=AlarmStack.TENANT,
        metric="AWS/Lambda Duration",
        option="tenants.NAME.alarms.duration_percent",
        threshold="90% of the timeout",
        meaning="An invocation of the session function lasted nearly as long as its timeout.",
        team=Team.PLATFORM,
        group=RUNS_FAIL,
    ),
    AlarmRow(
        name="latency",
        stack=AlarmStack.TENANT,
        metric="AWS/Bedrock-AgentCore Latency",
        option="tenants.NAME.alarms.latency_deviations",
        threshold="3 standard deviations above the expected value",
        period="5 minutes, all of the last 3",
        meaning="AgentCore responds slower than usual to calls on the default interpreter.",
        team=Team.PLATFORM,
        group=RUNS_FAIL,
    ),
    AlarmRow(
        name="duplicate-executions",
        stack=AlarmStack.TENANT,
        metric="Sandpiper DuplicateExecutions",
        threshold=1,
        meaning="The code of a run was accepted twice, which is a defect of Sandpiper.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="skipped-files",
        stack=AlarmStack.TENANT,
        metric="Sandpiper FilesSkipped",
        option="tenants.NAME.alarms.skipped_files",
        threshold=20,
        meaning="Files of programs were not returned.",
        team=Team.OWNER,
    ),
    AlarmRow(
        name="daily-spend",
        stack=AlarmStack.TENANT,
        metric="Sandpiper EstimatedUsd",
        option="tenants.NAME.alarms.daily_usd",
        threshold=50,
        period="1 day",
        meaning="The estimated cost of this tenant in 24 hours is high.",
        team=Team.OWNER,
    ),
    AlarmRow(
        name="live-sessions",
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore ActiveSessionCount",
        option="alarms.quota_percent",
        threshold="80% of the quota",
        meaning="The account is close to its quota of live sessions.",
        team=Team.PLATFORM,
        group=QUOTA_PRESSURE,
    ),
    _call_rate("start-calls", "StartCodeInterpreterSession"),
    _call_rate("invoke-calls", "InvokeCodeInterpreter"),
    _call_rate("stop-calls", "StopCodeInterpreterSession"),
    AlarmRow(
        name="function-concurrency",
        stack=AlarmStack.FLEET,
        metric="AWS/Lambda ConcurrentExecutions",
        option="alarms.quota_percent",
        threshold="80% of the quota",
        meaning="The account is close to its quota of concurrent executions of Lambda functions.",
        team=Team.PLATFORM,
        group=QUOTA_PRESSURE,
    ),
    AlarmRow(
        name="refused-functions",
        stack=AlarmStack.FLEET,
        metric="AWS/Lambda Throttles",
        threshold=5,
        meaning="Lambda throttles functions in this account.",
        team=Team.PLATFORM,
        group=THROTTLING,
    ),
    AlarmRow(
        name="throttles",
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore Throttles",
        threshold=5,
        meaning="AgentCore throttles calls of this account.",
        team=Team.PLATFORM,
        group=THROTTLING,
        runbook="account-throttles",
    ),
    AlarmRow(
        name="vcpu-hours",
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore CPUUsed-vCPUHours",
        option="alarms.vcpu_hours",
        threshold=100,
        period="1 hour, any of the last 3",
        meaning="Sessions of this account used many vCPU hours in one hour.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="blocked-names",
        stack=AlarmStack.NETWORK,
        metric="AWS/Route53Resolver FirewallRuleQueryVolume",
        option="alarms.blocked_names",
        threshold=20,
        meaning="The DNS firewall of the network blocked queries for names that are not allowed.",
        team=Team.SECURITY,
    ),
)


def alarm_row(stack: AlarmStack, name: str) -> AlarmRow:
    """Returns the alarm of a stack with this name."""
    (row,) = (each for each in ROWS if (each.stack, each.name) == (stack, name))
    return row


def composite_row(name: str) -> CompositeRow:
    """Returns the composite alarm of a group."""
    (row,) = (each for each in COMPOSITES if each.name == name)
    return row


WORKFLOW_ALARMS = ("errors", "timed-out", "aborted")
"""The alarms of a tenant of which each workflow has its own."""
STANDARD_WORKFLOW_ALARMS = ("aborted",)
"""Those that an Express workflow does not have."""


def workflow_alarms(*, is_express: bool) -> tuple[str, ...]:
    """Returns the names of the alarms of a workflow, without the name of the workflow."""
    return tuple(name for name in WORKFLOW_ALARMS if not (is_express and name in STANDARD_WORKFLOW_ALARMS))


def tenant_alarm_names(other_workflows: Mapping[str, bool]) -> Iterator[str]:
    """Yields the names of the alarms of a tenant, so that another stack can refer to them.

    Args:
        other_workflows: the workflows whose alarms have their name as a suffix, and whether each is an Express
            workflow.

    Example:
        >>> list(tenant_alarm_names({"run-code-express": True}))[-2:]
        ['errors-run-code-express', 'timed-out-run-code-express']
    """
    yield from (row.name for row in (*COMPOSITES, *ROWS) if row.stack == AlarmStack.TENANT)
    for name, is_express in other_workflows.items():
        yield from (f"{alarm}-{name}" for alarm in workflow_alarms(is_express=is_express))
