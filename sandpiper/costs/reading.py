"""Reads the estimated costs of an environment, and the usage that AgentCore measured, from CloudWatch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from sandpiper import deployment
from sandpiper.aws_errors import aws_errors_as_cli_errors
from sandpiper.errors import CliError
from sandpiper.names import stack_name
from sandpiper_contract.costs import usage_usd
from sandpiper_contract.metric_table import (
    COSTS_BY_INTERPRETER,
    COSTS_BY_WORKFLOW,
    GB_HOURS,
    OWN,
    VCPU_HOURS,
    MetricRow,
)
from sandpiper_contract.metrics import (
    INTERPRETER_DIMENSION,
    SERVICE_DIMENSION,
    WORKFLOW_DIMENSION,
    Metric,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import boto3

    from sandpiper_contract.prices import Prices

TENANT, INTERPRETER, WORKFLOW = "tenant", "interpreter", "workflow"
GROUPS = (TENANT, INTERPRETER, WORKFLOW)
_ROWS = {TENANT: OWN, INTERPRETER: COSTS_BY_INTERPRETER, WORKFLOW: COSTS_BY_WORKFLOW}
_NAMES = {INTERPRETER: INTERPRETER_DIMENSION, WORKFLOW: WORKFLOW_DIMENSION}
MAX_DAYS = 14
"""ListMetrics returns metrics with data in the last two weeks.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_ListMetrics.html
"""
MAX_QUERIES = 500
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
PERIOD_SECONDS = 3_600
Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True)
class CostLine:
    """The cost of a tenant, an interpreter or a workflow in US dollars.

    Attributes:
        tenant: the tenant.
        name: the interpreter or the workflow; empty for a tenant.
        estimated_usd: the estimate: AgentCore, Lambda and Step Functions.
        estimated_session_usd: its part for AgentCore.
        measured_session_usd: the cost of the usage that AgentCore measured; None without data, and for a workflow.
    """

    tenant: str
    name: str
    estimated_usd: float
    estimated_session_usd: float
    measured_session_usd: float | None = None

    @property
    def difference_usd(self) -> float | None:
        """The measured cost of AgentCore minus the estimated one; None without data."""
        measured = self.measured_session_usd
        return None if measured is None else measured - self.estimated_session_usd


def read_costs(session: boto3.Session, environment: str, by: str, days: int, prices: Prices) -> list[CostLine]:
    """Returns the costs of the last days, the highest first.

    Args:
        session: the credentials and the region.
        environment: the environment's name.
        by: one of `GROUPS`.
        days: 1 to `MAX_DAYS`.
        prices: the prices of the measured usage.

    Raises:
        CliError: AWS refused a call or cannot be reached.
    """
    client: Any = session.client("cloudwatch")
    with aws_errors_as_cli_errors("cloudwatch:ListMetrics, cloudwatch:GetMetricData"):
        rows, prefix = _ROWS[by], stack_name(environment, "")
        usd: dict[Metric, dict[tuple[str, str], float]] = {}
        for metric in (Metric.ESTIMATED_USD, Metric.ESTIMATED_SESSION_USD):
            keys = {
                (tenant, _short(by, dimensions.get(_NAMES.get(by, ""), ""), f"{prefix}{tenant}-")): dimensions
                for dimensions in _series(client, rows[metric])
                if (service := dimensions[SERVICE_DIMENSION]).startswith(prefix)
                for tenant in (service.removeprefix(prefix),)
            }
            usd[metric] = _totals(client, rows[metric], keys, days)
        tenants = sorted({tenant for tenant, _ in usd[Metric.ESTIMATED_USD]})
        measured = {} if by == WORKFLOW else _measured(session, environment, by, days, prices, tenants)
    lines = (
        CostLine(
            tenant=tenant,
            name=name,
            estimated_usd=usd[Metric.ESTIMATED_USD].get((tenant, name), 0),
            estimated_session_usd=usd[Metric.ESTIMATED_SESSION_USD].get((tenant, name), 0),
            measured_session_usd=measured.get((tenant, name)),
        )
        for tenant, name in {**usd[Metric.ESTIMATED_USD], **measured}
    )
    return sorted(lines, key=lambda line: (-line.estimated_usd, line.tenant, line.name))


def _short(by: str, name: str, prefix: str) -> str:
    """Returns the name of a workflow without the name of its stack."""
    return name.removeprefix(prefix) if by == WORKFLOW else name


def _measured(
    session: boto3.Session, environment: str, by: str, days: int, prices: Prices, tenants: Iterable[str]
) -> dict[tuple[str, str], float]:
    """Returns the cost of the measured usage of deployed interpreters. A removed tenant has none."""
    groups: dict[str, tuple[str, str]] = {}
    for tenant in tenants:
        with suppress(CliError):
            for key, identifier in deployment.find(session, environment, tenant).interpreters.items():
                groups[identifier] = (tenant, key if by == INTERPRETER else "")
    client: Any = session.client("cloudwatch")
    hours: list[dict[tuple[str, str], float]] = []
    for row in (VCPU_HOURS, GB_HOURS):
        found: dict[tuple[str, str], float] = {}
        series = {
            (identifier, dimensions["Service"]): dimensions
            for dimensions in _series(client, row)
            if (identifier := dimensions["Resource"].rpartition("/")[2]) in groups
        }
        for (identifier, _), value in _totals(client, row, series, days).items():
            found[groups[identifier]] = found.get(groups[identifier], 0) + value
        hours.append(found)
    vcpu_hours, gb_hours = hours
    return {
        group: usage_usd(vcpu_hours=vcpu_hours.get(group, 0), gb_hours=gb_hours.get(group, 0), prices=prices)
        for group in {**vcpu_hours, **gb_hours}
    }


def _series(client: Any, row: MetricRow) -> Iterator[dict[str, str]]:
    """Yields the dimensions of each series of a row."""
    pages = client.get_paginator("list_metrics").paginate(
        Namespace=row.namespace, MetricName=row.name, Dimensions=[{"Name": name} for name in row.dimensions]
    )
    for page in pages:
        for metric in page["Metrics"]:
            found = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            if found.keys() == set(row.dimensions):
                yield found


def _totals(client: Any, row: MetricRow, series: Mapping[Key, Mapping[str, str]], days: int) -> dict[Key, float]:
    """Returns the sum of each series with data over the last days."""
    end = datetime.now(UTC)
    found: dict[Key, float] = {}
    for keys in _chunks(list(series)):
        queries = [_query(f"m{number}", row, series[key]) for number, key in enumerate(keys)]
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=end - timedelta(days=days), EndTime=end + timedelta(minutes=1)
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                key = keys[int(result["Id"].removeprefix("m"))]
                if result["Values"]:
                    found[key] = found.get(key, 0) + sum(result["Values"])
    return found


def _query(identifier: str, row: MetricRow, dimensions: Mapping[str, str]) -> dict[str, Any]:
    metric = {
        "Namespace": row.namespace,
        "MetricName": row.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": PERIOD_SECONDS, "Stat": "Sum"}}


def _chunks(items: list[Key]) -> Iterable[list[Key]]:
    return (items[start : start + MAX_QUERIES] for start in range(0, len(items), MAX_QUERIES))
