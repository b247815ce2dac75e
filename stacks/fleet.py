"""The fleet stack: a dashboard of all tenants, alarms on the account's quotas and usage, their topics, and the budget.

It has no dependency on another stack, and no stack depends on it, because it refers to tenants by name only. So it can
be deployed and deleted at any time. Alarms and dashboards of single tenants are in their stacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from constructs import Construct

from sandpiper.names import FLEET, alarm_topic_name, owner_alarm_topic_name, stack_name
from sandpiper_constructs.alarm_table import AlarmStack, alarm_row
from sandpiper_constructs.alarm_topics import AlarmTopics, SlackTarget, TopicSubscriptions
from sandpiper_constructs.alarms import Alarms, AlarmSpec
from sandpiper_constructs.dashboard_body import create_dashboard
from sandpiper_constructs.metrics import (
    Operation,
    account_calls_metric,
    account_throttles_metric,
    lambda_concurrency_metric,
    lambda_throttles_metric,
    live_sessions_metric,
    vcpu_hours_metric,
)
from sandpiper_contract.aws import ENVIRONMENT_TAG
from stacks.fleet_dashboard import fleet_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment import Environment
    from sandpiper.environment.account import Budget
    from sandpiper_constructs.metrics import MetricData, MetricQuery

CALLS = {"start-calls": Operation.START, "invoke-calls": Operation.INVOKE, "stop-calls": Operation.STOP}
"""The operations with a quota of calls per second by the name of their alarm."""
SECONDS_A_MINUTE = 60
"""The query of an alarm on calls counts those of a minute."""
THROTTLES = 5
"""Throttled calls in five minutes."""
VCPU_HOURS_PERIODS = 3
"""AgentCore publishes the vCPU hours up to an hour late, after the period that they belong to."""


class FleetStack(cdk.Stack):
    """Creates the dashboard of all tenants, alarms on quotas of the account, and the budget if one is set."""

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        """Creates the stack.

        Args:
            scope: the app.
            environment: the validated environment file.
        """
        name = stack_name(environment.name, FLEET)
        super().__init__(
            scope,
            name,
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: monitoring of all tenants",
            termination_protection=environment.termination_protection,
        )
        specs = list(_alarm_specs(environment))
        alarms = Alarms(self, "Alarms", name_prefix=name, specs=specs, topic_arn=environment.platform_topic_arn)
        rows = fleet_rows(environment, alarms.alarm_arns)
        create_dashboard(Construct(self, "Dashboard"), name, rows)
        if environment.own_alarm_topics:
            AlarmTopics(self, "AlarmTopics", topics=_topics(environment))
        if environment.budget is not None:
            _budget(self, environment.name, environment.budget)


def _topics(environment: Environment) -> dict[str, TopicSubscriptions]:
    """Returns the subscriptions of the alarm topics by their name."""
    names = {
        "alarm_subscriptions": alarm_topic_name(environment.name),
        "tenant_alarm_subscriptions": owner_alarm_topic_name(environment.name),
    }
    return {
        names[option]: TopicSubscriptions(
            emails=each.emails,
            https_urls=each.https,
            slack=each.slack and SlackTarget(workspace_id=each.slack.workspace, channel_id=each.slack.channel),
        )
        for option, each in environment.own_alarm_topics.items()
    }


def _alarm_specs(environment: Environment) -> Iterator[AlarmSpec]:
    """Yields the alarms on quotas and usage of the account."""
    quotas, share = environment.quotas, environment.quota_share
    yield _spec(
        "live-sessions",
        live_sessions_metric(),
        share(quotas.live_sessions),
        f"The quota is {quotas.live_sessions} live sessions.",
    )
    for name, operation in CALLS.items():
        yield _spec(
            name,
            account_calls_metric(operation),
            share(quotas.calls_per_second * SECONDS_A_MINUTE),
            f"The quota is {quotas.calls_per_second} calls per second.",
        )
    yield _spec(
        "function-concurrency",
        lambda_concurrency_metric(),
        share(quotas.functions_at_once),
        f"The quota is {quotas.functions_at_once} concurrent executions.",
    )
    yield _spec("refused-functions", lambda_throttles_metric(), THROTTLES)
    yield _spec(
        "throttles",
        account_throttles_metric(),
        THROTTLES,
        f"The quota is {quotas.calls_per_second} calls per second for each operation.",
    )
    hours = environment.alarms.vcpu_hours
    yield _spec(
        "vcpu-hours",
        vcpu_hours_metric(),
        hours,
        f"The threshold of {hours} costs about {hours * environment.prices.vcpu_hour:,.2f} USD an hour.",
        periods=VCPU_HOURS_PERIODS,
    )


def _spec(
    name: str, metric: MetricData | MetricQuery, threshold: int, detail: str = "", *, periods: int = 1
) -> AlarmSpec:
    row = alarm_row(AlarmStack.FLEET, name)
    return AlarmSpec(
        name=name,
        metric=metric,
        threshold=threshold,
        description=row.description(detail),
        team=row.team,
        group=row.group,
        periods=periods,
    )


def _budget(stack: FleetStack, name: str, budget: Budget) -> None:
    """Creates a monthly budget for resources with the environment's tag. It sends mail on forecast and actual overrun.

    The tag must be activated as a cost allocation tag in the management account, which a template of a member account
    cannot do. Until then the budget counts nothing.
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """
    subscribers = [
        budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=mail) for mail in budget.emails
    ]
    budgets.CfnBudget(
        stack,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_name=f"sandpiper-{name}",
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(amount=budget.usd_a_month, unit="USD"),
            cost_filters={"TagKeyValue": [f"user:{ENVIRONMENT_TAG}${name}"]},
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=notification_type,
                    comparison_operator="GREATER_THAN",
                    threshold=100,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=subscribers,
            )
            for notification_type in ("FORECASTED", "ACTUAL")
        ],
    )
    cdk.Annotations.of(stack).add_info(
        f"the budget counts nothing until {ENVIRONMENT_TAG} is a cost allocation tag; activate it in the management "
        "account: Billing, Cost allocation tags"
    )
