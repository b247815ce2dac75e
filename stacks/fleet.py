"""The stack that watches an environment as a whole: a dashboard over all tenants, the account's quotas, the budget.

Not a tenant's own alarms and dashboard, which are in its stack. No stack depends on this one and it depends on none:
it knows tenants by their names alone, so it may be deployed and deleted at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch

from sandpiper.names import FLEET, stack_name
from sandpiper_constructs.alarms import Alarms, AlarmWhen, Thresholds
from sandpiper_constructs.metrics import (
    account_throttles_metric,
    live_sessions_metric,
    refused_functions_metric,
    run_metric,
)
from sandpiper_contract.aws import ENVIRONMENT_TAG
from sandpiper_contract.metrics import Metric

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment
    from sandpiper.environment.model import Budget

LIVE_SHARE = 0.8
"""The share of the quota of live sessions that raises the alarm: what is left is the time to ask for more."""
COLUMNS = 24
"""A dashboard's width, in CloudWatch's units."""
TENANT_GRAPHS = {
    "Runs": Metric.RUNS,
    "Runs without a result": Metric.ERRORS,
    "Throttled calls": Metric.THROTTLED,
    "Sessions that could not be stopped": Metric.SESSIONS_NOT_STOPPED,
}
"""A graph each, with a line for each tenant, so that the number of widgets does not grow with tenants.

CloudWatch draws at most 500 lines in a graph and 2,500 on a dashboard. Live sessions are no such graph, because
AgentCore counts them for the account alone.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
"""


class FleetStack(cdk.Stack):
    """The dashboard of all tenants, alarms on what the account shares, and the budget if there is one."""

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        name = stack_name(environment.name, FLEET)
        super().__init__(
            scope,
            name,
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: what all tenants share",
            termination_protection=environment.termination_protection,
        )
        live_sessions = environment.quotas.live_sessions
        rows = [
            AlarmWhen(
                name="live-sessions",
                metric=live_sessions_metric(),
                threshold=max(1, int(live_sessions * LIVE_SHARE)),
                description=f"The account comes near its {live_sessions} live sessions. Ask for a higher quota, or let "
                "sessions end earlier.",
            ),
            AlarmWhen(
                name="refused-functions",
                metric=refused_functions_metric(),
                threshold=Thresholds().throttles,
                description="Lambda starts no more functions at once in this account. Ask for a higher quota, or start "
                "fewer runs at once.",
            ),
        ]
        if not environment.is_embedded:
            # It is a query over all interpreters, and the embedded AWS refuses an alarm on a query.
            rows.append(
                AlarmWhen(
                    name="throttles",
                    metric=account_throttles_metric(),
                    threshold=Thresholds().throttles,
                    description="AgentCore refuses calls of this account for their rate, whoever makes them. Its "
                    f"quota is {environment.quotas.calls_per_second} a second of each operation.",
                )
            )
        alarms = Alarms(self, "Alarms", name_prefix=name, rows=rows, topic_arn=environment.alarm_topic_arn)
        services = {tenant: stack_name(environment.name, tenant) for tenant in environment.all_tenants}
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            widgets=[
                [cloudwatch.AlarmStatusWidget(title=f"Alarms of {name}", alarms=list(alarms.alarms), width=COLUMNS)],
                [
                    cloudwatch.GraphWidget(
                        title="Live sessions of the account",
                        left=[live_sessions_metric()],
                        left_annotations=[cloudwatch.HorizontalAnnotation(value=live_sessions, label="quota")],
                        width=COLUMNS,
                    )
                ],
                [
                    cloudwatch.GraphWidget(
                        title=title,
                        left=[run_metric(service, metric, tenant) for tenant, service in services.items()],
                        width=COLUMNS // 2,
                    )
                    for title, metric in TENANT_GRAPHS.items()
                ],
            ],
        )
        if environment.budget is not None:
            _budget(self, environment.name, environment.budget)


def _budget(stack: FleetStack, name: str, budget: Budget) -> None:
    """A monthly budget for what has the environment's tag: a mail when it is, or is likely to be, spent.

    The tag has to be a cost allocation tag, which is switched on once in the account that pays; until then the budget
    counts nothing, and no template can do it for a member account.
    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """
    told = [budgets.CfnBudget.SubscriberProperty(subscription_type="EMAIL", address=mail) for mail in budget.emails]
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
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=100,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=told,
            )
            for kind in ("FORECASTED", "ACTUAL")
        ],
    )
    cdk.Annotations.of(stack).add_info(
        f"the budget counts nothing until {ENVIRONMENT_TAG} is a cost allocation tag; activate it in the account that "
        "pays: Billing, Cost allocation tags"
    )
