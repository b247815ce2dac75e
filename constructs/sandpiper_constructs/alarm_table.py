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
    ),
    AlarmRow(
        name="throttles",
        stack=AlarmStack.TENANT,
        metric="Sandpiper Throttled",
        option="tenants.NAME.alarms.throttles",
        threshold=5,
        meaning="AgentCore throttles calls of this tenant.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="timed-out",
        stack=AlarmStack.TENANT,
        metric="AWS/States ExecutionsTimedOut",
        option="tenants.NAME.alarms.timed_out",
        threshold=1,
        meaning="Executions of the workflow reached its maximum duration.",
        team=Team.PLATFORM,
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
        name="live-sessions",
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore ActiveSessionCount",
        option="quotas.live_sessions",
        threshold="80% of the quota",
        meaning="The account is close to its quota of live sessions.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="refused-functions",
        stack=AlarmStack.FLEET,
        metric="AWS/Lambda Throttles",
        threshold=5,
        meaning="Lambda throttles functions in this account.",
        team=Team.PLATFORM,
    ),
    AlarmRow(
        name="throttles",
        stack=AlarmStack.FLEET,
        metric="AWS/Bedrock-AgentCore Throttles",
        threshold=5,
        meaning="AgentCore throttles calls of this account.",
        team=Team.PLATFORM,
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
    yield from (row.name for row in ROWS if row.stack == AlarmStack.TENANT)
    for name, is_express in other_workflows.items():
        yield from (f"{alarm}-{name}" for alarm in workflow_alarms(is_express=is_express))
