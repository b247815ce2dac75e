"""The dashboard of the fleet: whether anything is wrong, how close each quota is, and which tenant costs what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import NETWORK, RUN_CODE, RUN_CODE_EXPRESS, data_bucket_name, stack_name
from sandpiper_constructs.alarm_table import tenant_alarm_names
from sandpiper_constructs.dashboard_body import GRID_COLUMNS
from sandpiper_constructs.dashboard_widgets import Line, alarm_rows, graph, heading, numbers, text
from sandpiper_constructs.metrics import (
    Operation,
    account_calls_metric,
    bucket_metric,
    gb_hours_metric,
    lambda_concurrency_metric,
    live_sessions_metric,
    run_count_metric,
    vcpu_hours_metric,
)
from sandpiper_contract import metric_table as table
from sandpiper_contract.aws import partition_of
from sandpiper_contract.metrics import Metric
from stacks.network import BLOCKED_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sandpiper.environment import Environment
    from sandpiper_constructs.dashboard_body import Row, Widget
    from sandpiper_constructs.metrics import MetricData

TENANT_GRAPHS = {
    "Operations (count in 5 minutes)": Metric.RUNS,
    "Operations without a result (count in 5 minutes)": Metric.ERRORS,
    "Throttled operations (count in 5 minutes)": Metric.THROTTLED,
    "Leaked sessions (count in 5 minutes)": Metric.SESSIONS_NOT_STOPPED,
}
"""Metrics by the title of their graph. A graph has one line for each tenant, so that the number of widgets is fixed.

Live sessions are not included, because AgentCore publishes them for the account only.
"""
HALF, THIRD = GRID_COLUMNS // 2, GRID_COLUMNS // 3
HOUR_SECONDS, MINUTE_SECONDS = 3_600, 60
OPERATIONS = {Operation.START: "starts", Operation.INVOKE: "invokes", Operation.STOP: "stops"}


def fleet_rows(environment: Environment, alarm_arns: Sequence[str]) -> list[Row]:
    """Returns the widgets of the dashboard.

    Args:
        environment: the validated environment file.
        alarm_arns: the alarms of the fleet's stack.
    """
    name, region = environment.name, environment.region
    network = [f"{stack_name(name, NETWORK)}-{BLOCKED_NAMES}"] if environment.network is not None else []
    account = [*alarm_arns, *_arns(environment, network)]
    return [
        text(_notes(name)),
        heading("Is anything wrong?"),
        *alarm_rows("Alarms of the account: red needs action", account),
        *alarm_rows("Alarms of all tenants, the latest changes first: red needs action", _tenant_alarms(environment)),
        heading("How close is each quota?"),
        _quotas(environment),
        heading("Who costs what?"),
        (
            numbers(
                "Estimated cost of each tenant in the selected time range (USD)",
                _tenant_lines(environment, Metric.ESTIMATED_USD),
                region=region,
                width=HALF,
                view="bar",
            ),
            graph(
                "Estimated cost of each tenant (USD an hour)",
                _tenant_lines(environment, Metric.ESTIMATED_USD, HOUR_SECONDS),
                region=region,
                width=HALF,
                unit="USD",
                stacked=True,
            ),
        ),
        _usage(environment),
        heading("Tenants"),
        *_pairs(
            graph(title, _tenant_lines(environment, metric), region=region, width=HALF, unit="count")
            for title, metric in TENANT_GRAPHS.items()
        ),
    ]


def _notes(name: str) -> str:
    return (
        f"# Sandpiper {name}: all tenants\n"
        f"Next: `sandpiper status -e {name}` lists failures and drift, `sandpiper alarms -e {name}` the alarms with "
        f"their runbooks (docs/runbooks), and `sandpiper runs list -e {name} --tenant TENANT` the runs of a tenant.\n"
        f"The dashboard of a tenant is called `{stack_name(name, 'TENANT')}`."
    )


def _arns(environment: Environment, names: Iterable[str]) -> list[str]:
    """Returns the ARNs of alarms of other stacks, by name, so that no stack depends on another."""
    here = f"{environment.region}:{environment.account}"
    return [f"arn:{partition_of(environment.region)}:cloudwatch:{here}:alarm:{name}" for name in names]


def _tenant_alarms(environment: Environment) -> list[str]:
    names: list[str] = []
    for tenant, options in environment.all_tenants.items():
        others = {name: name == RUN_CODE_EXPRESS for name in options.deployed_workflows if name != RUN_CODE}
        names += [f"{stack_name(environment.name, tenant)}-{alarm}" for alarm in tenant_alarm_names(others)]
    return _arns(environment, names)


def _quotas(environment: Environment) -> Row:
    """Returns the use of each quota in percent: an average over a minute for rates, otherwise a maximum."""
    quotas, region = environment.quotas, environment.region
    shares = [
        *_share("live", live_sessions_metric(), quotas.live_sessions, "live sessions"),
        *_share("concurrent", lambda_concurrency_metric(), quotas.functions_at_once, "Lambda concurrency"),
    ]
    for operation, label in OPERATIONS.items():
        per_minute = quotas.calls_per_second * MINUTE_SECONDS
        shares += [
            Line(metric=account_calls_metric(operation), id=label, is_visible=False),
            Line(metric=f"100 * {label} / {per_minute}", label=f"{label} per second"),
        ]
    live = [Line(metric=live_sessions_metric(), label="live sessions")]
    marks = {"alarm": float(environment.quota_share(quotas.live_sessions)), "quota": float(quotas.live_sessions)}
    return (
        graph(
            "Use of each quota (percent of the quota)",
            shares,
            region=region,
            width=2 * THIRD,
            unit="percent",
            marks={"quota": 100},
        ),
        graph("Live sessions in the account", live, region=region, width=THIRD, unit="sessions", marks=marks),
    )


def _share(id_: str, metric: MetricData, quota: int, label: str) -> list[Line]:
    """Returns a metric and its share of a quota in percent."""
    return [
        Line(metric=metric, id=id_, is_visible=False),
        Line(metric=f"100 * {id_} / {quota}", label=label),
    ]


def _usage(environment: Environment) -> Row:
    """Returns the billed usage of the account, and the size of the data bucket."""
    region = environment.region
    options = environment.data_bucket
    bucket = options.name or data_bucket_name(environment.name, environment.account, region)
    size = bucket_metric(bucket, table.BUCKET_BYTES, "StandardStorage")
    objects = bucket_metric(bucket, table.BUCKET_OBJECTS, "AllStorageTypes")
    return (
        graph(
            "vCPU hours of all sessions (an hour, up to an hour late)",
            [Line(metric=vcpu_hours_metric(), label="vCPU hours")],
            region=region,
            width=THIRD,
            unit="vCPU hours",
        ),
        graph(
            "GB hours of memory of all sessions (an hour, up to an hour late)",
            [Line(metric=gb_hours_metric(), label="GB hours")],
            region=region,
            width=THIRD,
            unit="GB hours",
        ),
        graph(
            "Data bucket: size (bytes) and objects, once a day",
            [Line(metric=size, label="bytes"), Line(metric=objects, label="objects", is_on_the_right=True)],
            region=region,
            width=THIRD,
            unit="bytes",
            right_unit="objects",
        ),
    )


def _tenant_lines(environment: Environment, metric: Metric, period_seconds: int | None = None) -> list[Line]:
    return [
        Line(
            metric=run_count_metric(stack_name(environment.name, tenant), metric),
            label=tenant,
            period_seconds=period_seconds,
        )
        for tenant in environment.all_tenants
    ]


def _pairs(widgets: Iterable[Widget]) -> list[Row]:
    found = tuple(widgets)
    return [found[start : start + 2] for start in range(0, len(found), 2)]
