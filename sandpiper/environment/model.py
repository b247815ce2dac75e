"""Contains the options of `environments/NAME.yaml` as types, with their constraints and defaults.

`tenant`, `interpreter`, `network`, `storage`, `workflows` and others contain the options of one mapping each.
`file` reads a file, `errors` contains its issues, and `checks` contains the rules between options. `stacks` builds
resources from an environment; this package does not import it.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from sandpiper.environment.account import Budget, Quotas
from sandpiper.environment.alarms import TOPIC_ARN, FleetAlarmThresholds
from sandpiper.environment.audit import Audit
from sandpiper.environment.expected_access import ExpectedAccess
from sandpiper.environment.findings import AcceptedFinding
from sandpiper.environment.logs import Logs
from sandpiper.environment.network import Network
from sandpiper.environment.options import (
    ACCOUNT,
    ENVIRONMENT_NAME,
    PARTITION,
    PATH,
    REGION,
    AsTuple,
    EmptyAsDefault,
    ExactRoleArn,
    NotEmpty,
    Options,
    item,
    option,
)
from sandpiper.environment.prices import PriceOptions
from sandpiper.environment.regions import require_region
from sandpiper.environment.storage import DataBucket
from sandpiper.environment.subscriptions import AlarmSubscriptions
from sandpiper.environment.tags import ALLOWED_OWNER_TAG, ALLOWED_TAGS, Owner, Tags
from sandpiper.environment.tenant import ALLOWED_INTERPRETERS, Interpreters, Tenant, TenantName
from sandpiper.environment.workflows import ALLOWED_WORKFLOWS, DEFAULT_WORKFLOWS, Workflows
from sandpiper.names import DEFAULT_TENANT, alarm_topic_name, owner_alarm_topic_name
from sandpiper_contract.aws import EMBEDDED_ACCOUNT, partition_of

Roles = Annotated[tuple[ExactRoleArn, ...], Field(max_length=50), AsTuple]
ALLOWED_ROLES = "a list of at most 50 ARNs of roles in this account"


class Environment(Options):
    """One account and region with its tenants. The name of every stack and resource contains `name`."""

    name: str = option(
        "environment name, used in resource names and as the file's name",
        "1 to 20 characters a-z and 0-9, starting with a letter, equal to the file's name",
        pattern=f"^{ENVIRONMENT_NAME}$",
        examples=["prod"],
    )
    account: str = option(
        "AWS account to deploy to", "12 digits in quotes", pattern=f"^{ACCOUNT}$", examples=["111122223333"]
    )
    region: Annotated[str, AfterValidator(require_region)] = option(
        "AWS region to deploy to; AgentCore must be available there",
        "an AWS region such as us-east-1",
        examples=["eu-west-1"],
        json_schema_extra={"pattern": f"^{REGION}$"},
    )
    owner: Owner = option("who is responsible; a tag of every resource", ALLOWED_OWNER_TAG, examples=["platform team"])
    interpreters: Annotated[Interpreters | None, NotEmpty] = option(
        f"interpreters of an environment with one tenant, which is named {DEFAULT_TENANT}; instead of tenants",
        ALLOWED_INTERPRETERS,
        None,
    )
    tenants: Annotated[Annotated[dict[TenantName, Tenant], Field(min_length=1)] | None, NotEmpty] = option(
        "tenants by name, one stack each; instead of interpreters", "a mapping with at least one tenant", None
    )
    workflows: Annotated[Workflows | None, NotEmpty] = option(
        "workflows of an environment with interpreters, as in tenants.NAME.workflows", ALLOWED_WORKFLOWS, None
    )
    tags: Tags = option("tags of all resources", ALLOWED_TAGS, {})
    availability_zones: dict[
        Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9][a-z]$", description="a zone such as eu-west-1a")],
        Annotated[
            str,
            item(
                "a zone id such as euw1-az1, which is the same in every account",
                "euw1-az1",
                pattern=r"^[a-z]{2,5}[0-9]+-az[0-9]+$",
            ),
        ],
    ] = option(
        "zones of the network, by this account's name for each: `aws ec2 describe-availability-zones`",
        "a mapping such as eu-west-1a: euw1-az1, with zones that AgentCore supports",
        {},
    )
    network: Annotated[Network | None, EmptyAsDefault] = option(
        "a new VPC for interpreters in VPC mode", "a mapping of " + ", ".join(Network.model_fields), None
    )
    data_bucket: Annotated[DataBucket, EmptyAsDefault] = option(
        "the bucket for all data", "a mapping of " + ", ".join(DataBucket.model_fields), DataBucket()
    )
    readers: Roles = option(
        "roles that can read the objects of all tenants, if their own policies allow it", ALLOWED_ROLES, ()
    )
    writers: Roles = option(
        "roles that can read the objects of all tenants and write inputs, if their own policies allow it",
        ALLOWED_ROLES,
        (),
    )
    administrators: Roles = option(
        "roles that can read and write all objects except idempotency records, if their own policies allow it",
        ALLOWED_ROLES,
        (),
    )
    logs: Annotated[Logs, EmptyAsDefault] = option(
        "logs of functions and workflows", "a mapping of retention_days", Logs()
    )
    audit: Annotated[Audit | None, NotEmpty] = option(
        "audit trail of data and code; without it, there is none", "a mapping of trail, retention_days", None
    )
    alarm_topic_arn: str | None = option(
        "SNS topic that is notified when an alarm starts and ends",
        "the ARN of an SNS topic",
        None,
        pattern=TOPIC_ARN,
    )
    tenant_alarm_topic_arn: str | None = option(
        "SNS topic for the alarms that owners of tenants act on; without it, alarm_topic_arn is notified",
        "the ARN of an SNS topic",
        None,
        pattern=TOPIC_ARN,
    )
    alarm_subscriptions: Annotated[AlarmSubscriptions | None, NotEmpty] = option(
        "recipients of a new, encrypted topic that is notified when an alarm starts and ends; instead of "
        "alarm_topic_arn",
        "a mapping of " + ", ".join(AlarmSubscriptions.model_fields),
        None,
    )
    tenant_alarm_subscriptions: Annotated[AlarmSubscriptions | None, NotEmpty] = option(
        "recipients of a new, encrypted topic for the alarms that owners of tenants act on; instead of "
        "tenant_alarm_topic_arn",
        "a mapping of " + ", ".join(AlarmSubscriptions.model_fields),
        None,
    )
    approval_topic_arn: str | None = option(
        "SNS topic that is notified when a run waits for an approval; without it, alarm_topic_arn is notified",
        "the ARN of an SNS topic",
        None,
        pattern=TOPIC_ARN,
    )
    alarms: Annotated[FleetAlarmThresholds, EmptyAsDefault] = option(
        "thresholds of the alarms on the account's usage and quotas, and on the network",
        "a mapping of " + ", ".join(FleetAlarmThresholds.model_fields),
        FleetAlarmThresholds(),
    )
    budget: Annotated[Budget | None, NotEmpty] = option("monthly budget", "a mapping of usd_a_month, emails", None)
    quotas: Annotated[Quotas, EmptyAsDefault] = option(
        "quotas that AWS has granted the account", "a mapping of " + ", ".join(Quotas.model_fields), Quotas()
    )
    prices: Annotated[PriceOptions, EmptyAsDefault] = option(
        "prices and assumptions of estimated costs",
        "a mapping of " + ", ".join(PriceOptions.model_fields),
        PriceOptions(),
    )
    permissions_boundary: str | None = option(
        "IAM permissions boundary of every role that Sandpiper creates",
        "the ARN of a managed policy, such as arn:aws:iam::111122223333:policy/NAME",
        None,
        pattern=rf"^arn:{PARTITION}:iam::({ACCOUNT}|aws):policy/{PATH}[A-Za-z0-9_+=,.@-]{{1,128}}$",
        max_length=600,
    )
    accepted_findings: Annotated[
        tuple[
            Annotated[
                AcceptedFinding,
                item(
                    "a mapping of " + ", ".join(AcceptedFinding.model_fields),
                    {name: each.examples[0] for name, each in AcceptedFinding.model_fields.items() if each.examples},
                ),
            ],
            ...,
        ],
        AsTuple,
    ] = option(
        "accepted findings of validation rules",
        "a list of mappings of " + ", ".join(AcceptedFinding.model_fields),
        (),
    )
    expect: Annotated[
        tuple[
            Annotated[
                ExpectedAccess,
                item(
                    "a mapping of " + ", ".join(ExpectedAccess.model_fields),
                    {name: each.examples[0] for name, each in ExpectedAccess.model_fields.items() if each.examples},
                ),
            ],
            ...,
        ],
        Field(max_length=500),
        AsTuple,
    ] = option(
        "access that `sandpiper review` requires or excludes, by principal and operation",
        "a list of at most 500 mappings of " + ", ".join(ExpectedAccess.model_fields),
        (),
    )
    termination_protection: bool = option("whether CloudFormation refuses to delete stacks", "true or false", True)

    @property
    def all_tenants(self) -> dict[str, Tenant]:
        """Returns all tenants by name, including the unnamed tenant of `interpreters`."""
        if self.interpreters is not None:
            return {
                DEFAULT_TENANT: Tenant(interpreters=self.interpreters, workflows=self.workflows or DEFAULT_WORKFLOWS)
            }
        return self.tenants or {}

    @property
    def own_alarm_topics(self) -> dict[str, AlarmSubscriptions]:
        """Returns the subscriptions of each alarm topic that the environment creates, by its option."""
        options = {
            "alarm_subscriptions": self.alarm_subscriptions,
            "tenant_alarm_subscriptions": self.tenant_alarm_subscriptions,
        }
        return {name: subscriptions for name, subscriptions in options.items() if subscriptions is not None}

    @property
    def platform_topic_arn(self) -> str | None:
        """Returns the topic of the alarms for the platform team, which may be one that the environment creates."""
        own = self.alarm_subscriptions and self._topic_arn(alarm_topic_name(self.name))
        return self.alarm_topic_arn or own

    @property
    def owner_topic_arn(self) -> str | None:
        """Returns the topic of the alarms for owners of tenants. Without it, the platform team is notified."""
        own = self.tenant_alarm_subscriptions and self._topic_arn(owner_alarm_topic_name(self.name))
        return self.tenant_alarm_topic_arn or own

    def _topic_arn(self, name: str) -> str:
        return f"arn:{partition_of(self.region)}:sns:{self.region}:{self.account}:{name}"

    @property
    def has_storage(self) -> bool:
        """Returns whether the environment has a storage stack: it creates the data bucket, the audit trail or both."""
        return self.data_bucket.name is None or self.own_trail is not None

    def quota_share(self, quota: int) -> int:
        """Returns the part of a quota that raises an alarm, which leaves time to request a higher one."""
        return max(1, quota * self.alarms.quota_percent // 100)

    @property
    def own_trail(self) -> Audit | None:
        """Returns the options of the audit trail that the environment creates, or None if it creates none."""
        return self.audit if self.audit is not None and self.audit.is_own else None

    @property
    def is_embedded(self) -> bool:
        """Returns whether the environment is for the embedded AWS, where expiry dates are optional."""
        return self.account == EMBEDDED_ACCOUNT
