"""The effects of a change of each option of the environment file, for the option reference.

A test changes each option and compares the effects that a plan derives from the templates with this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.account import Budget, Quotas
from sandpiper.environment.alarms import AlarmThresholds, FleetAlarmThresholds
from sandpiper.environment.audit import Audit
from sandpiper.environment.expected_access import ExpectedAccess
from sandpiper.environment.findings import AcceptedFinding
from sandpiper.environment.interpreter import (
    BaseInterpreter,
    PublicInterpreter,
    S3Access,
    SandboxInterpreter,
    SessionLimits,
    VpcInterpreter,
)
from sandpiper.environment.logs import Logs
from sandpiper.environment.model import Environment
from sandpiper.environment.network import Network
from sandpiper.environment.prices import PriceOptions
from sandpiper.environment.storage import DataBucket, Retention
from sandpiper.environment.subscriptions import AlarmSubscriptions, SlackChannel
from sandpiper.environment.tenant import SessionFunctionOptions, Tenant
from sandpiper.environment.workflows import WorkflowOptions
from sandpiper.plan.effects import DeploymentEffect as Effect
from sandpiper.plan.resource_types import type_name

if TYPE_CHECKING:
    from sandpiper.environment.options import Options


@dataclass(frozen=True)
class OptionEffects:
    """The effects of a change of an option in any direction; none if no resource changes.

    Attributes:
        effects: The effects.
        note: The condition or the time of an effect, as the end of a sentence.
        replaced: The types of the resources that are replaced, except interpreters and their roles.
        has_options: Whether the option is a mapping whose options have the effects.
    """

    effects: frozenset[Effect] = frozenset()
    note: str = ""
    replaced: frozenset[str] = frozenset()
    has_options: bool = False

    @property
    def text(self) -> str:
        """The effects and the note, for the option reference."""
        if self.has_options:
            return "see its options"
        replaced = ", ".join(sorted(map(type_name, self.replaced)))
        names = [
            f"replaces {replaced}" if effect is Effect.REPLACES else str(effect)
            for effect in Effect
            if effect in self.effects
        ]
        return "; ".join(names or ["nothing"]) + (f": {self.note}" if self.note else "")


def _of(*effects: Effect, note: str = "", replaced: tuple[str, ...] = ()) -> OptionEffects:
    return OptionEffects(frozenset(effects), note, frozenset(replaced))


SLACK_CHANNEL = "AWS::Chatbot::SlackChannelConfiguration"
QUERY_LOG = "AWS::Route53Resolver::ResolverQueryLoggingConfig"
PARAMETER = "AWS::SSM::Parameter"

SEE_OPTIONS = OptionEffects(has_options=True)
NOTHING = _of()
IN_PLACE = _of(Effect.IN_PLACE)
NEXT_RUN = _of(Effect.IN_PLACE, note="from the next run on")
NEXT_SESSION = _of(Effect.IN_PLACE, note="for sessions that start afterwards")
AT_ONCE = _of(Effect.IN_PLACE, note="also for code in live sessions")
TAGS = _of(Effect.IN_PLACE, Effect.REPLACES, replaced=(QUERY_LOG,), note="the log of DNS queries has a gap")
ELSEWHERE = _of(Effect.NEW_STACK, note="everything is created there; the existing stacks and data remain")
REPLACES_INTERPRETER = _of(Effect.IN_PLACE, Effect.ENDS_SESSIONS, note="the interpreter is replaced")
INTERPRETERS = _of(Effect.IN_PLACE, Effect.ENDS_SESSIONS, note="sessions of removed and renamed interpreters end")
SUBSCRIPTIONS = _of(
    *(Effect.IN_PLACE, Effect.LOSES_DATA),
    note="without it, the topic with its confirmed subscriptions and its key are deleted",
)
RECIPIENTS = _of(Effect.IN_PLACE, note="the owner of a new e-mail address has to confirm the subscription")
AUDIT = _of(
    *(Effect.IN_PLACE, Effect.DATA_REMAINS),
    note="log files of a removed trail remain; delete their bucket before you add the trail again",
)
LOG_DELIVERY = _of(
    Effect.IN_PLACE, Effect.DATA_REMAINS, note="without it, the log group remains until its events expire"
)
WORKFLOWS = _of(Effect.IN_PLACE, Effect.DATA_REMAINS, note="executions of a removed workflow end; its log remains")
SHORTER = _of(Effect.IN_PLACE, Effect.LOSES_DATA, note="data is lost if the time is shortened or set")

OPTION_EFFECTS: dict[type[Options], dict[str, OptionEffects]] = {
    Environment: {
        "name": ELSEWHERE,
        "account": ELSEWHERE,
        "region": ELSEWHERE,
        "owner": TAGS,
        "interpreters": INTERPRETERS,
        "tenants": _of(
            *(Effect.IN_PLACE, Effect.NEW_STACK, Effect.STACK_REMAINS, Effect.DATA_REMAINS),
            note="the stack and the data of a removed or renamed tenant remain",
        ),
        "workflows": WORKFLOWS,
        "tags": TAGS,
        "availability_zones": _of(
            *(Effect.IN_PLACE, Effect.REPLACES, Effect.ENDS_SESSIONS),
            replaced=(PARAMETER,),
            note="the interpreters in the network are replaced",
        ),
        "network": _of(Effect.IN_PLACE, Effect.NEW_STACK, Effect.STACK_REMAINS),
        "data_bucket": SEE_OPTIONS,
        "readers": IN_PLACE,
        "writers": IN_PLACE,
        "administrators": IN_PLACE,
        "logs": SEE_OPTIONS,
        "audit": AUDIT,
        "alarm_topic_arn": IN_PLACE,
        "tenant_alarm_topic_arn": IN_PLACE,
        "alarm_subscriptions": SUBSCRIPTIONS,
        "tenant_alarm_subscriptions": SUBSCRIPTIONS,
        "approval_topic_arn": IN_PLACE,
        "alarms": SEE_OPTIONS,
        "budget": IN_PLACE,
        "quotas": SEE_OPTIONS,
        "prices": SEE_OPTIONS,
        "permissions_boundary": AT_ONCE,
        "accepted_findings": NOTHING,
        "expect": NOTHING,
        "termination_protection": IN_PLACE,
    },
    Tenant: {
        "interpreters": INTERPRETERS,
        "owner": IN_PLACE,
        "tags": IN_PLACE,
        "session_function": SEE_OPTIONS,
        "workflows": WORKFLOWS,
        "alarms": SEE_OPTIONS,
        "alarm_topic_arn": IN_PLACE,
    },
    BaseInterpreter: {
        "description": REPLACES_INTERPRETER,
        "read": AT_ONCE,
        "write": AT_ONCE,
        "session": SEE_OPTIONS,
        "certificates": REPLACES_INTERPRETER,
        "execution_role": REPLACES_INTERPRETER,
        "callers": IN_PLACE,
        "application_logs": LOG_DELIVERY,
    },
    SandboxInterpreter: {"network": REPLACES_INTERPRETER},
    PublicInterpreter: {
        "network": REPLACES_INTERPRETER,
        "reason": IN_PLACE,
        "owner": IN_PLACE,
        "expires": IN_PLACE,
    },
    VpcInterpreter: {
        "network": REPLACES_INTERPRETER,
        "subnets": REPLACES_INTERPRETER,
        "security_groups": REPLACES_INTERPRETER,
    },
    S3Access: {"uri": AT_ONCE, "account": AT_ONCE, "key": AT_ONCE},
    SessionLimits: {"default_seconds": NEXT_SESSION, "longest_seconds": NEXT_SESSION},
    AlarmSubscriptions: {"emails": RECIPIENTS, "https": IN_PLACE, "slack": IN_PLACE},
    SlackChannel: {
        "workspace": _of(Effect.REPLACES, replaced=(SLACK_CHANNEL,)),
        "channel": IN_PLACE,
    },
    PriceOptions: dict.fromkeys(PriceOptions.model_fields, NEXT_RUN),
    SessionFunctionOptions: {
        "architecture": NEXT_RUN,
        "runtime": NEXT_RUN,
        "memory_mib": NEXT_RUN,
        "timeout_seconds": NEXT_RUN,
        "reserved_concurrency": NEXT_RUN,
        "log_level": NEXT_RUN,
    },
    WorkflowOptions: {"starters": IN_PLACE, "readers": IN_PLACE},
    AlarmThresholds: {
        "errors": IN_PLACE,
        "throttles": IN_PLACE,
        "timed_out": IN_PLACE,
        "aborted": IN_PLACE,
        "sessions_not_stopped": IN_PLACE,
        "access_denied": IN_PLACE,
        "duration_percent": IN_PLACE,
        "latency_deviations": IN_PLACE,
        "skipped_files": IN_PLACE,
        "daily_usd": IN_PLACE,
    },
    FleetAlarmThresholds: {"vcpu_hours": IN_PLACE, "quota_percent": IN_PLACE, "blocked_names": IN_PLACE},
    Network: {
        "cidr": _of(
            *(Effect.IN_PLACE, Effect.REPLACES, Effect.ENDS_SESSIONS),
            replaced=("AWS::EC2::VPC", "AWS::EC2::Subnet", PARAMETER),
            note="the interpreters in the network are replaced",
        ),
        "endpoints": AT_ONCE,
        "domains": AT_ONCE,
        "s3_prefix_list": AT_ONCE,
        "query_log_days": SHORTER,
    },
    DataBucket: {
        "name": _of(
            *(Effect.IN_PLACE, Effect.NEW_STACK, Effect.STACK_REMAINS),
            note="runs use the other bucket, and data is not copied",
        ),
        "key": _of(
            *(Effect.IN_PLACE, Effect.DATA_REMAINS),
            note="objects, log events and earlier executions keep their key; without `own`, its key is retained",
        ),
        "retain": _of(Effect.IN_PLACE, note="takes effect when the stack is deleted"),
        "events": IN_PLACE,
        "retention_days": SEE_OPTIONS,
    },
    Retention: {
        "runs": SHORTER,
        "inputs": SHORTER,
        "sandbox": SHORTER,
        "old_versions": SHORTER,
        "access_logs": SHORTER,
        "removed_tenants": _of(
            *(Effect.LOSES_DATA, Effect.DATA_REMAINS),
            note="with an entry, data expires; without one, it remains",
        ),
    },
    Logs: {"retention_days": SHORTER, "usage": LOG_DELIVERY, "traces": IN_PLACE},
    Audit: {"trail": AUDIT, "retention_days": SHORTER},
    Budget: {
        "usd_a_month": IN_PLACE,
        # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/365
        "emails": _of(
            Effect.REPLACES,
            replaced=("AWS::Budgets::Budget",),
            note="AWS refuses two budgets of one name; remove `budget`, deploy, and add it again",
        ),
    },
    Quotas: {
        "live_sessions": IN_PLACE,
        "calls_per_second": IN_PLACE,
        "interpreters": NOTHING,
        "functions_at_once": IN_PLACE,
    },
    AcceptedFinding: dict.fromkeys(("finding", "at", "reason", "owner", "expires"), NOTHING),
    ExpectedAccess: dict.fromkeys(("principal", "operation", "access", "tenant"), NOTHING),
}
"""The effects by model and option. Options of `BaseInterpreter` are those of every interpreter."""


def effects_of(model: type[Options], option: str) -> OptionEffects:
    """Returns the effects of an option, which can be defined in a base class of the model.

    Raises:
        KeyError: The table has no entry for the option.
    """
    for each in model.__mro__:
        if option in OPTION_EFFECTS.get(each, {}):
            return OPTION_EFFECTS[each][option]
    raise KeyError(f"{model.__name__}.{option} has no entry in OPTION_EFFECTS")
