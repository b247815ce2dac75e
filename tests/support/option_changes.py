"""A change of every option of an environment file: the option, and its values before and after."""

from __future__ import annotations

import copy
import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    Path = tuple[str | int, ...]

ROLE = "arn:aws:iam::111122223333:role"
OTHER_ROLE = "arn:aws:iam::444455556666:role"
CERTIFICATE = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:root"
ZONES = {"eu-west-1a": "euw1-az1", "eu-west-1b": "euw1-az2"}
PUBLIC = {"network": "PUBLIC", "reason": "pip", "owner": "me", "expires": datetime.date(2999, 1, 1)}
SUBNETS = {"network": "VPC", "subnets": ("subnet-01234567",), "security_groups": ("sg-01234567",)}
_FINDING: dict[str, Any] = {
    "finding": "AwsSolutions-S1",
    "at": "a/b",
    "reason": "why",
    "owner": "me",
    "expires": datetime.date(2999, 1, 1),
}
_EXPECTED: dict[str, Any] = {
    "principal": "reader of the account",
    "operation": "read results",
    "access": "denied",
}
MISSING = object()
"""The value of an option that is not set."""

BASE: dict[str, Any] = {
    "name": "one",
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "tests",
    "tenants": {"claims": {"interpreters": {"run": {}}}},
}
"""The environment in which options of the whole environment change."""
INTERPRETER = ("tenants", "claims", "interpreters", "run")
TENANT = ("tenants", "claims")


@dataclass(frozen=True)
class OptionChange:
    """A change of one option of a model, such as `("Retention", "runs")`.

    Attributes:
        path: The keys of the option in the file.
        before: The value before, or MISSING.
        after: The value after, or MISSING.
        context: Other options in both files, by path.
    """

    option: tuple[str, str]
    path: tuple[str | int, ...]
    before: Any
    after: Any
    context: tuple[tuple[tuple[str | int, ...], Any], ...] = ()

    @property
    def is_of_one_tenant(self) -> bool:
        """Returns whether the two environments differ from BASE in one tenant only."""
        return all(path[:2] == TENANT for path in (self.path, *(path for path, _ in self.context)))

    def environments(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Returns the environment before and after."""
        return together([self])

    def conflicts_with(self, other: OptionChange) -> bool:
        """Returns whether the two changes cannot be made in one environment."""
        contexts, others = dict(self.context), dict(other.context)
        return (
            _is_within(self.path, other.path)
            or _is_within(other.path, self.path)
            or any(_is_within(path, self.path) for path in others)
            or any(_is_within(path, other.path) for path in contexts)
            or any(contexts[path] != others[path] for path in {*contexts} & {*others})
        )


def together(changes: Sequence[OptionChange]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the environments before and after changes that do not conflict."""
    before, after = copy.deepcopy(BASE), copy.deepcopy(BASE)
    for environment in (before, after):
        for path, value in {path: value for change in changes for path, value in change.context}.items():
            _set(environment, path, value)
    for change in changes:
        _set(before, change.path, change.before)
        _set(after, change.path, change.after)
    return before, after


def _is_within(path: Path, other: Path) -> bool:
    return path[: len(other)] == other


def _set(environment: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    *parents, last = path
    target: Any = environment
    for key in parents:
        target = target[key] if isinstance(key, int) else target.setdefault(key, {})
    if value is MISSING:
        target.pop(last, None)
    else:
        target[last] = copy.deepcopy(value)


def _in_file(option: str, before: Any, after: Any, *context: Any) -> OptionChange:
    return OptionChange(("Environment", option), (option,), before, after, context)


def _in(model: str, parent: tuple[str | int, ...], option: str, before: Any, after: Any, *context: Any) -> OptionChange:
    return OptionChange((model, option), (*parent, option), before, after, context)


_ZONES = (("availability_zones",), ZONES)
_NETWORK = (_ZONES, (("network",), {"endpoints": ("logs",)}), (INTERPRETER, {"network": "VPC"}))
"""A network with an interpreter in it."""
_SUBSCRIPTIONS = (("alarm_subscriptions",), {"emails": ("a@example.com",)})
_SLACK = (("alarm_subscriptions",), {"slack": {"workspace": "T1", "channel": "C1"}})
_BUDGET = (("budget",), {"usd_a_month": 5, "emails": ("a@example.com",)})
_DAYS = ("data_bucket", "retention_days")
_SESSION = (*INTERPRETER, "session")
_FUNCTION = (*TENANT, "session_function")
_RUN_CODE = (*TENANT, "workflows", "run-code")

CHANGES: tuple[OptionChange, ...] = (
    _in_file("name", "one", "two"),
    _in_file("account", "111122223333", "444455556666"),
    _in_file("region", "eu-west-1", "eu-west-2"),
    _in_file("owner", "tests", "others", *_NETWORK),
    _in_file("interpreters", {"run": {}}, {"run": {}, "more": {}}, (("tenants",), MISSING)),
    _in_file(
        "tenants",
        {"claims": {"interpreters": {"run": {}}}},
        {"claims": {"interpreters": {"run": {}}}, "motor": {"interpreters": {"run": {}}}},
    ),
    _in_file("workflows", MISSING, {"run-session": {}}, (("tenants",), MISSING), (("interpreters",), {"run": {}})),
    _in_file("tags", MISSING, {"cost": "1"}, *_NETWORK),
    _in_file("availability_zones", ZONES, {**ZONES, "eu-west-1c": "euw1-az3"}, *_NETWORK),
    _in_file("network", MISSING, {}, _ZONES),
    _in_file("readers", MISSING, (f"{ROLE}/audit",)),
    _in_file("writers", MISSING, (f"{ROLE}/author",)),
    _in_file("administrators", MISSING, (f"{ROLE}/rescue",)),
    _in_file("audit", MISSING, {"trail": "own"}),
    _in_file("alarm_topic_arn", MISSING, "arn:aws:sns:eu-west-1:111122223333:alarms"),
    _in_file("tenant_alarm_topic_arn", MISSING, "arn:aws:sns:eu-west-1:111122223333:owners"),
    _in_file(
        "approval_topic_arn",
        MISSING,
        "arn:aws:sns:eu-west-1:111122223333:approvals",
        (("workflows",), {"run-session": {}}),
        (("tenants",), MISSING),
        (("interpreters",), {"run": {}}),
    ),
    _in_file("alarm_subscriptions", MISSING, _SUBSCRIPTIONS[1]),
    _in_file("tenant_alarm_subscriptions", MISSING, _SUBSCRIPTIONS[1]),
    _in_file("budget", MISSING, _BUDGET[1]),
    _in_file("permissions_boundary", MISSING, "arn:aws:iam::111122223333:policy/most"),
    _in_file("termination_protection", True, False),
    _in("Tenant", TENANT, "interpreters", {"run": {}}, {"run": {}, "more": {}}),
    _in("Tenant", TENANT, "owner", MISSING, "claims team"),
    _in("Tenant", TENANT, "tags", MISSING, {"cost": "1"}),
    _in("Tenant", TENANT, "alarm_topic_arn", MISSING, "arn:aws:sns:eu-west-1:111122223333:claims"),
    _in("SessionFunctionOptions", _FUNCTION, "architecture", "arm64", "x86_64"),
    _in("SessionFunctionOptions", _FUNCTION, "runtime", "python3.14", "python3.13"),
    _in("SessionFunctionOptions", _FUNCTION, "memory_mib", 512, 1024),
    _in("SessionFunctionOptions", _FUNCTION, "timeout_seconds", 900, 600),
    _in("SessionFunctionOptions", _FUNCTION, "reserved_concurrency", MISSING, 5),
    _in("SessionFunctionOptions", _FUNCTION, "log_level", "INFO", "DEBUG"),
    _in("Tenant", TENANT, "workflows", MISSING, {"run-code": {}, "run-session": {}}),
    _in("WorkflowOptions", _RUN_CODE, "starters", MISSING, (f"{ROLE}/orders", f"{OTHER_ROLE}/orders")),
    _in("WorkflowOptions", _RUN_CODE, "readers", MISSING, (f"{ROLE}/auditor", f"{OTHER_ROLE}/auditor")),
    _in("AlarmThresholds", (*TENANT, "alarms"), "errors", 1, 2),
    _in("AlarmThresholds", (*TENANT, "alarms"), "throttles", 5, 6),
    _in("AlarmThresholds", (*TENANT, "alarms"), "timed_out", 1, 2),
    _in("AlarmThresholds", (*TENANT, "alarms"), "aborted", 5, 6),
    _in("AlarmThresholds", (*TENANT, "alarms"), "sessions_not_stopped", 1, 2),
    _in("AlarmThresholds", (*TENANT, "alarms"), "access_denied", 1, 2),
    _in("AlarmThresholds", (*TENANT, "alarms"), "duration_percent", 90, 95),
    _in("AlarmThresholds", (*TENANT, "alarms"), "latency_deviations", 3, 4),
    _in("AlarmThresholds", (*TENANT, "alarms"), "skipped_files", 20, 21),
    _in("AlarmThresholds", (*TENANT, "alarms"), "daily_usd", 50, 51),
    _in("FleetAlarmThresholds", ("alarms",), "quota_percent", 80, 90),
    _in("FleetAlarmThresholds", ("alarms",), "vcpu_hours", 100, 101),
    _in("FleetAlarmThresholds", ("alarms",), "blocked_names", 20, 21, *_NETWORK),
    _in("BaseInterpreter", INTERPRETER, "description", MISSING, "Totals"),
    _in("BaseInterpreter", INTERPRETER, "read", MISSING, ("s3://lake/a/",)),
    _in("BaseInterpreter", INTERPRETER, "write", MISSING, ("s3://lake/a/",)),
    _in("BaseInterpreter", INTERPRETER, "certificates", MISSING, (CERTIFICATE,)),
    _in("BaseInterpreter", INTERPRETER, "application_logs", True, False),
    _in("BaseInterpreter", INTERPRETER, "execution_role", "own", "none"),
    _in("BaseInterpreter", INTERPRETER, "callers", MISSING, (f"{ROLE}/agent", "arn:aws:iam::444455556666:role/agent")),
    _in("SessionLimits", _SESSION, "default_seconds", 300, 600),
    _in("SessionLimits", _SESSION, "longest_seconds", 28_800, 3_600),
    OptionChange(("SandboxInterpreter", "network"), INTERPRETER, {}, {"network": "VPC"}, _NETWORK),
    OptionChange(("PublicInterpreter", "network"), INTERPRETER, PUBLIC, {}),
    _in("PublicInterpreter", INTERPRETER, "reason", "pip", "npm", (INTERPRETER, PUBLIC)),
    _in("PublicInterpreter", INTERPRETER, "owner", "me", "you", (INTERPRETER, PUBLIC)),
    _in(
        "PublicInterpreter",
        INTERPRETER,
        "expires",
        datetime.date(2999, 1, 1),
        datetime.date(2999, 2, 1),
        (INTERPRETER, PUBLIC),
    ),
    OptionChange(("VpcInterpreter", "network"), INTERPRETER, {"network": "VPC"}, {}, _NETWORK),
    _in("VpcInterpreter", INTERPRETER, "subnets", ("subnet-01234567",), ("subnet-76543210",), (INTERPRETER, SUBNETS)),
    _in("VpcInterpreter", INTERPRETER, "security_groups", ("sg-01234567",), ("sg-76543210",), (INTERPRETER, SUBNETS)),
    _in("S3Access", (*INTERPRETER, "read", 0), "uri", "s3://lake/a/", "s3://lake/b/", ((*INTERPRETER, "read"), [{}])),
    _in(
        "S3Access",
        (*INTERPRETER, "read", 0),
        "account",
        MISSING,
        "444455556666",
        ((*INTERPRETER, "read"), [{"uri": "s3://lake/a/"}]),
    ),
    _in(
        "S3Access",
        (*INTERPRETER, "read", 0),
        "key",
        MISSING,
        "arn:aws:kms:eu-west-1:111122223333:key/1",
        ((*INTERPRETER, "read"), [{"uri": "s3://lake/a/"}]),
    ),
    _in("Network", ("network",), "cidr", "10.64.0.0/20", "10.65.0.0/20", *_NETWORK),
    _in("Network", ("network",), "endpoints", ("logs",), ("logs", "sts"), *_NETWORK),
    _in("Network", ("network",), "domains", MISSING, ("*.example.com",), *_NETWORK),
    _in("Network", ("network",), "s3_prefix_list", MISSING, "pl-01234567", *_NETWORK),
    _in("Network", ("network",), "query_log_days", 90, 30, *_NETWORK),
    _in("DataBucket", ("data_bucket",), "name", MISSING, "lake"),
    _in("DataBucket", ("data_bucket",), "key", "aws", "own"),
    _in("DataBucket", ("data_bucket",), "retain", True, False),
    _in("DataBucket", ("data_bucket",), "events", False, True),
    _in("Retention", _DAYS, "runs", 90, 14),
    _in("Retention", _DAYS, "inputs", MISSING, 30),
    _in("Retention", _DAYS, "sandbox", MISSING, 30),
    _in("Retention", _DAYS, "old_versions", 30, 10),
    _in("Retention", _DAYS, "access_logs", 365, 30),
    _in("Retention", _DAYS, "removed_tenants", MISSING, {"former": 30}),
    _in("Logs", ("logs",), "retention_days", 30, 7),
    _in("Logs", ("logs",), "usage", True, False),
    _in("Logs", ("logs",), "traces", True, False),
    _in("Audit", ("audit",), "trail", "own", "organization"),
    _in("Audit", ("audit",), "retention_days", 365, 30, (("audit",), {"trail": "own"})),
    _in("Budget", ("budget",), "usd_a_month", 5, 6, _BUDGET),
    _in("Budget", ("budget",), "emails", ("a@example.com",), ("b@example.com",), _BUDGET),
    _in(
        "AlarmSubscriptions",
        _SUBSCRIPTIONS[0],
        "emails",
        ("a@example.com",),
        ("a@example.com", "b@example.com"),
        _SUBSCRIPTIONS,
    ),
    _in("AlarmSubscriptions", _SUBSCRIPTIONS[0], "https", (), ("https://example.com/alarms",), _SUBSCRIPTIONS),
    _in(
        "AlarmSubscriptions", _SUBSCRIPTIONS[0], "slack", MISSING, {"workspace": "T1", "channel": "C1"}, _SUBSCRIPTIONS
    ),
    _in("SlackChannel", (*_SLACK[0], "slack"), "workspace", "T1", "T2", _SLACK),
    _in("SlackChannel", (*_SLACK[0], "slack"), "channel", "C1", "C2", _SLACK),
    _in("PriceOptions", ("prices",), "vcpu_hour", 0.0895, 0.08),
    _in("PriceOptions", ("prices",), "gb_hour", 0.00945, 0.008),
    _in("PriceOptions", ("prices",), "lambda_gb_second", None, 0.00001),
    _in("PriceOptions", ("prices",), "lambda_request", 0.0000002, 0.0000001),
    _in("PriceOptions", ("prices",), "state_transition", 0.000025, 0.00002),
    _in("PriceOptions", ("prices",), "assumed_vcpus", 1.0, 0.5),
    _in("PriceOptions", ("prices",), "assumed_gb", 1.0, 0.5),
    _in("Quotas", ("quotas",), "live_sessions", 1_000, 2_000),
    _in("Quotas", ("quotas",), "calls_per_second", 30, 60),
    _in("Quotas", ("quotas",), "interpreters", 1_000, 2_000),
    _in("Quotas", ("quotas",), "functions_at_once", 1_000, 2_000),
    *(
        OptionChange(
            ("AcceptedFinding", name),
            ("accepted_findings", number, name),
            _FINDING[name],
            value,
            ((("accepted_findings",), [_FINDING] * 5),),
        )
        for number, (name, value) in enumerate(
            {
                "finding": "AwsSolutions-S10",
                "at": "a/c",
                "reason": "another",
                "owner": "another",
                "expires": datetime.date(2999, 2, 1),
            }.items()
        )
    ),
    _in_file("accepted_findings", MISSING, (_FINDING,)),
    *(
        OptionChange(
            ("ExpectedAccess", name),
            ("expect", number, name),
            _EXPECTED.get(name, MISSING),
            value,
            ((("expect",), [_EXPECTED] * 4),),
        )
        for number, (name, value) in enumerate(
            {
                "principal": "power user of the account",
                "operation": "change results",
                "access": "allowed",
                "tenant": "claims",
            }.items()
        )
    ),
    _in_file("expect", MISSING, (_EXPECTED,)),
)
"""One change of every option, except those that only contain other options."""
