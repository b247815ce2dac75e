"""Rules and schedules start a state machine with the role of their target, whose policies MiniStack does not evaluate.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-identity-based.html
https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

from ministack.services import eventbridge

from local_aws.ministack.patches import iam_roles
from local_aws.settings import ACCOUNT, REGION

MINISTACK_VERSION = "1.5.33"
STATE_MACHINES = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"
RULES, SCHEDULES = "events.amazonaws.com", "scheduler.amazonaws.com"
SCHEDULER_SOURCE = "aws.scheduler"
_invoke_target = eventbridge._invoke_target


def install() -> None:
    """Replaces MiniStack's call of a target, of rules and of schedules."""
    eventbridge._invoke_target = invoke_target


def invoke_target(target: dict[str, Any], event: dict[str, Any], source: dict[str, Any], *view: Any) -> None:
    """Sends an event to a target. A state machine is not started if the role of the target does not allow it.

    Args:
        target: The target, with the role that the service assumes.
        event: The event.
        source: The rule or the schedule.
        *view: MiniStack's parsed event, if any.
    """
    arn = str(target.get("Arn", ""))
    if arn.startswith(STATE_MACHINES):
        try:
            _require_start(target, arn, event, source)
        except iam_roles.AccessDeniedError as error:
            eventbridge.logger.warning("EventBridge did not start %s: %s", arn, error)
            return
    _invoke_target(target, event, source, *view)


def _require_start(target: dict[str, Any], arn: str, event: dict[str, Any], source: dict[str, Any]) -> None:
    """Raises AccessDeniedError if the role of the target cannot be assumed or does not allow the start."""
    service, source_arn = RULES, str(source.get("Arn", ""))
    if event.get("Source") == SCHEDULER_SOURCE:
        # The trust policy can name the group of a schedule and not the schedule itself.
        service, source_arn = SCHEDULES, source_arn.replace(":schedule/", ":schedule-group/").rpartition("/")[0]
    role = iam_roles.assume_role(service, str(target.get("RoleArn", "")), source_arn)
    principal = iam_roles.session_principal(role, service.partition(".")[0])
    iam_roles.require_permission(principal, "states:StartExecution", arn)
