"""Contains the options of `environments/NAME.yaml` as types, with their constraints and defaults.

`file` reads a file, `errors` contains its issues, and `checks` contains the rules between options. `stacks` builds
resources from an environment; this package does not import it.
"""

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sandpiper.environment.audit import Audit
from sandpiper.environment.interpreter import (
    ALLOWED_EXPIRY,
    ALLOWED_OWNER,
    EXPIRY_TITLE,
    OWNER_TITLE,
    Interpreter,
)
from sandpiper.environment.network import Network
from sandpiper.environment.options import (
    ACCOUNT,
    ALLOWED_LOG_RETENTION,
    ENVIRONMENT_NAME,
    PARTITION,
    PATH,
    REGION,
    AsTuple,
    EmptyAsDefault,
    ExactRoleArn,
    LogRetentionDays,
    NotEmpty,
    Options,
    ReviewText,
    ShortName,
    item,
    option,
)
from sandpiper.environment.prices import PriceOptions
from sandpiper.environment.regions import require_region
from sandpiper.environment.storage import DataBucket
from sandpiper.environment.workflows import (
    ALLOWED_WORKFLOWS,
    DEFAULT_WORKFLOWS,
    RUN_CODE,
    WorkflowOptions,
    Workflows,
)
from sandpiper.names import DEFAULT_TENANT, FLEET, NETWORK, STORAGE
from sandpiper_contract.aws import EMBEDDED_ACCOUNT

TOPIC_ARN = rf"^arn:{PARTITION}:sns:[a-z0-9-]+:{ACCOUNT}:[A-Za-z0-9_-]{{1,256}}$"
RESERVED_TENANT_NAMES = (STORAGE, NETWORK, FLEET)
"""Names of the environment's own stacks, which a tenant cannot have."""


class SessionFunctionOptions(Options):
    """The Lambda function that runs sessions for a tenant."""

    architecture: Literal["arm64", "x86_64"] = option(
        "processor architecture; arm64 costs less", "arm64 | x86_64", "arm64"
    )
    runtime: Literal["python3.12", "python3.13", "python3.14"] = option(
        "Python runtime", "python3.12 | python3.13 | python3.14", "python3.14"
    )
    memory_mib: int = option("memory in MiB", "a whole number of MiB from 128 to 10240", 512, ge=128, le=10_240)
    timeout_seconds: int = option(
        "maximum duration of a run in seconds, including file transfers",
        "a whole number of seconds from 60 to 900",
        900,
        ge=60,
        le=900,
    )
    reserved_concurrency: int | None = option(
        "concurrent runs that are reserved for this tenant, and its maximum",
        "a whole number from 1 to 1000",
        None,
        ge=1,
        le=1_000,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = option(
        "log level; code and data are never logged", "DEBUG | INFO | WARNING | ERROR", "INFO"
    )


class AlarmThresholds(Options):
    """How many events in five minutes raise an alarm, unless another unit is stated.

    `errors` counts failed runs without those that their author has to correct, such as `InvalidRequest`.
    """

    errors: int = option("failed runs", "a whole number of failed runs in five minutes, 1 or more", 1, ge=1)
    throttles: int = option("throttled calls", "a whole number of throttled calls in five minutes, 1 or more", 5, ge=1)
    timed_out: int = option(
        "executions that reached the workflow's maximum duration",
        "a whole number of executions in five minutes, 1 or more",
        1,
        ge=1,
    )
    aborted: int = option(
        "executions that a caller stopped", "a whole number of executions in five minutes, 1 or more", 5, ge=1
    )
    sessions_not_stopped: int = option(
        "sessions that could not be stopped", "a whole number of sessions in five minutes, 1 or more", 1, ge=1
    )
    access_denied: int = option(
        "runs to which AgentCore or S3 denied access", "a whole number of runs in five minutes, 1 or more", 1, ge=1
    )
    duration_percent: int = option(
        "the longest invocation of the session function, in percent of its timeout",
        "a whole number of percent, 1 to 100",
        90,
        ge=1,
        le=100,
    )
    latency_deviations: int = option(
        "standard deviations between the expected latency of AgentCore and the alarm, for 15 minutes",
        "a whole number of standard deviations, 1 or more",
        3,
        ge=1,
    )
    skipped_files: int = option(
        "files of programs that were not returned", "a whole number of files in five minutes, 1 or more", 20, ge=1
    )
    daily_usd: int = option(
        "estimated cost of the tenant in 24 hours", "a whole number of US dollars, 1 or more", 50, ge=1
    )


class FleetAlarmThresholds(Options):
    """Thresholds of the alarms on the account's usage and quotas, and on the network."""

    vcpu_hours: int = option(
        "vCPU hours of all sessions in the account in one hour", "a whole number of vCPU hours, 1 or more", 100, ge=1
    )
    quota_percent: int = option(
        "use of each quota of the account, in percent of the quota",
        "a whole number of percent, 1 to 100",
        80,
        ge=1,
        le=100,
    )
    blocked_names: int = option(
        "DNS queries that the network's firewall blocked",
        "a whole number of queries in five minutes, 1 or more",
        20,
        ge=1,
    )


class Logs(Options):
    """The logs of functions and workflows, and what AgentCore delivers for each interpreter."""

    retention_days: LogRetentionDays = option("retention in days", ALLOWED_LOG_RETENTION, 30)
    usage: bool = option(
        "whether AgentCore delivers CPU time and memory of each session to a log group", "true | false", True
    )
    traces: bool = option(
        "whether AgentCore delivers spans to X-Ray; requires Transaction Search of CloudWatch in the account",
        "true | false",
        True,
    )


class Budget(Options):
    """The monthly budget. AWS sends an e-mail when the forecast exceeds it, and does not stop anything."""

    usd_a_month: int = option(
        "monthly limit for all resources with this environment's tag",
        "a whole number of dollars, 1 or more",
        ge=1,
        examples=[500],
    )
    emails: Annotated[
        tuple[
            Annotated[
                str,
                item(
                    "an e-mail address of at most 50 characters",
                    "platform@example.com",
                    pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
                    max_length=50,
                ),
            ],
            ...,
        ],
        Field(min_length=1, max_length=10),
        AsTuple,
    ] = option("recipients", "a list of 1 to 10 e-mail addresses", examples=[["platform@example.com"]])


class Quotas(Options):
    """The account's quotas. Sandpiper compares the environment with them and does not query AWS.

    The defaults are AWS's defaults of November 2026:
    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/bedrock-agentcore-limits.html
    AWS may have granted a new account less, and accounts have reported a quota of 0 sessions. To see the account's
    quotas, run `aws service-quotas list-service-quotas --service-code bedrock-agentcore` (and `lambda`).
    """

    live_sessions: int = option("concurrent sessions", "a whole number, 1 or more", 1_000, ge=1)
    calls_per_second: int = option("calls per second of each session operation", "a whole number, 1 or more", 30, ge=1)
    interpreters: int = option("custom interpreters", "a whole number, 1 or more", 1_000, ge=1)
    functions_at_once: int = option("Lambda's concurrent executions", "a whole number, 1 or more", 1_000, ge=1)


class AcceptedFinding(Options):
    """A finding of a rule that is accepted at one resource until it expires."""

    finding: str = option(
        "the rule, as in the validation report",
        "a rule such as AwsSolutions-S1",
        pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)+(\[.+\])?$",
        examples=["AwsSolutions-S1"],
    )
    at: str = option(
        "the resource, as in the validation report",
        "a construct path such as sandpiper-prod-storage/DataBucket/Data",
        pattern=r"^[^/\s]+(/[^/]+)*$",
        examples=["sandpiper-prod-storage/DataBucket/Data"],
    )
    reason: ReviewText = option(
        "why it is accepted, for the security review",
        "the reason, 1 to 200 characters",
        examples=["The log bucket has no access logs"],
    )
    owner: ReviewText = option(OWNER_TITLE, ALLOWED_OWNER, examples=["platform team"])
    expires: datetime.date | None = option(EXPIRY_TITLE, ALLOWED_EXPIRY, None)


def _not_reserved(name: str) -> str:
    if name in RESERVED_TENANT_NAMES:
        raise ValueError("choose another name, because the environment's own stacks use this one")
    return name


def _not_aws_prefix(name: str) -> str:
    if name.lower().startswith(("aws:", "sandpiper:")):
        raise ValueError("choose another name")
    return name


_TAG_PATTERN = r"^[\w .:/=+@-]*$"
_TAG_CHARACTERS = "letters, digits, spaces and . : / = + - @ _"
TagName = Annotated[
    str,
    Field(
        pattern=_TAG_PATTERN,
        min_length=1,
        max_length=128,
        description=f"1 to 128 {_TAG_CHARACTERS}, not starting with aws: or sandpiper:",
    ),
    AfterValidator(_not_aws_prefix),
]
Owner = Annotated[str, Field(pattern=r"^[\w .:/=+@-]*\w[\w .:/=+@-]*$", max_length=200)]
ALLOWED_OWNER_TAG = f"1 to 200 {_TAG_CHARACTERS}, because it becomes a tag"
TagValue = Annotated[
    str,
    item(
        f"at most 256 {_TAG_CHARACTERS}, in quotes if YAML would read another type",
        "claims",
        pattern=_TAG_PATTERN,
        max_length=256,
    ),
]
Tags = Annotated[dict[TagName, TagValue], Field(max_length=40)]
ALLOWED_TAGS = f"a mapping of at most 40 tags, values of at most 256 {_TAG_CHARACTERS}"

Roles = Annotated[tuple[ExactRoleArn, ...], Field(max_length=50), AsTuple]
ALLOWED_ROLES = "a list of at most 50 ARNs of roles in this account"

TenantName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="1 to 24 characters a-z, 0-9 and single hyphens, starting with a letter, except "
        + ", ".join(RESERVED_TENANT_NAMES),
    ),
    AfterValidator(_not_reserved),
]
Interpreters = Annotated[dict[ShortName, Interpreter], Field(min_length=1, max_length=20)]
# More interpreters would not fit into the function's environment variables, which are limited to 4 KB.
ALLOWED_INTERPRETERS = "a mapping of 1 to 20 interpreters, such as sandbox: {}"


class Tenant(Options):
    """A unit of isolation: interpreters, data, workflow and alarms that no other tenant shares."""

    interpreters: Interpreters = option(
        "interpreters by the key that requests use; the first is the default", ALLOWED_INTERPRETERS
    )
    owner: Owner | None = option("who is responsible, if it is not the environment's owner", ALLOWED_OWNER_TAG, None)
    tags: Tags = option("tags of the tenant's resources, added to the environment's", ALLOWED_TAGS, {})
    session_function: Annotated[SessionFunctionOptions, EmptyAsDefault] = option(
        "the Lambda function that runs the tenant's sessions",
        "a mapping of " + ", ".join(SessionFunctionOptions.model_fields),
        SessionFunctionOptions(),
    )
    workflows: Workflows = option(
        "deployed workflows by name, with the roles that use them; run-code is deployed in any case",
        ALLOWED_WORKFLOWS,
        DEFAULT_WORKFLOWS,
    )
    alarms: Annotated[AlarmThresholds, EmptyAsDefault] = option(
        "thresholds of the tenant's alarms",
        "a mapping of " + ", ".join(AlarmThresholds.model_fields),
        AlarmThresholds(),
    )
    alarm_topic_arn: str | None = option(
        "SNS topic for the tenant's owner; without it, tenant_alarm_topic_arn of the environment",
        "the ARN of an SNS topic",
        None,
        pattern=TOPIC_ARN,
    )

    @property
    def deployed_workflows(self) -> dict[str, WorkflowOptions]:
        """Returns the options of each deployed workflow by name, `run-code` first."""
        return {RUN_CODE: WorkflowOptions(), **self.workflows}


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
