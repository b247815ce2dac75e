"""What a platform engineer writes in `environments/NAME.yaml`, as types: the options, their limits and their defaults.

Reading a file is in `file`, what is wrong with one in `errors`, what holds between options in `checks`; what is built
from an environment is in `stacks`, which this package never imports.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sandpiper.environment.interpreter import ALLOWED_EXPIRY, ALLOWED_OWNER, ExpiryDay, Interpreter
from sandpiper.environment.network import Network
from sandpiper.environment.options import (
    ACCOUNT,
    ALLOWED_LOG_RETENTION,
    ENVIRONMENT_NAME,
    PARTITION,
    REGION,
    AsTuple,
    EmptyAsDefault,
    LogRetentionDays,
    NotEmpty,
    Options,
    ReviewText,
    ShortName,
    item,
    option,
)
from sandpiper.environment.storage import DataBucket
from sandpiper.names import DEFAULT_TENANT, FLEET, NETWORK, STORAGE

EMBEDDED_ACCOUNT = "123456789012"
"""The embedded AWS. AWS's documentation has it in its examples, so it is nobody's."""
RESERVED_TENANT_NAMES = (STORAGE, NETWORK, FLEET)
"""Names of the environment's own stacks, which no tenant may have."""


class SessionFunctionOptions(Options):
    """The Lambda function that runs sessions for a tenant."""

    architecture: Literal["arm64", "x86_64"] = option("its processor; arm64 costs less", "arm64 | x86_64", "arm64")
    runtime: Literal["python3.12", "python3.13", "python3.14"] = option(
        "its Python", "python3.12 | python3.13 | python3.14", "python3.14"
    )
    memory_mib: int = option("its memory", "a whole number of MiB from 128 to 10240", 512, ge=128, le=10_240)
    timeout_seconds: int = option(
        "the most that a run takes, files included", "a whole number of seconds from 60 to 900", 900, ge=60, le=900
    )
    reserved_concurrency: int | None = option(
        "the most runs at once, kept free for this tenant", "a whole number from 1 to 1000", None, ge=1, le=1_000
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = option(
        "what it logs; code and data never", "DEBUG | INFO | WARNING | ERROR", "INFO"
    )


class AlarmThresholds(Options):
    """How many in five minutes raise an alarm."""

    errors: int = option("failed runs", "a whole number of failed runs in five minutes, 1 or more", 1, ge=1)
    throttles: int = option("throttled calls", "a whole number of throttled calls in five minutes, 1 or more", 5, ge=1)


class Logs(Options):
    """Logs of functions and workflows."""

    retention_days: LogRetentionDays = option("how long they are kept", ALLOWED_LOG_RETENTION, 30)


class Budget(Options):
    """What a month may cost: a mail when it is likely to cost more. It stops nothing."""

    usd_a_month: int = option(
        "for everything with this environment's tag", "a whole number of dollars, 1 or more", ge=1, examples=[500]
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
    ] = option("who is told", "a list of 1 to 10 e-mail addresses", examples=[["platform@example.com"]])


class Quotas(Options):
    """What the account has been granted: what is planned is held to it, nothing is asked of AWS.

    The defaults are AWS's own, November 2026:
    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/bedrock-agentcore-limits.html
    A new account may have less, of sessions none at all as accounts have reported, until AWS raises it:
    `aws service-quotas list-service-quotas --service-code bedrock-agentcore` (and `lambda`) says what it has.
    """

    live_sessions: int = option("sessions at once", "a whole number, 1 or more", 1_000, ge=1)
    calls_per_second: int = option("of each operation on sessions", "a whole number, 1 or more", 30, ge=1)
    interpreters: int = option("custom interpreters", "a whole number, 1 or more", 1_000, ge=1)
    functions_at_once: int = option("Lambda's concurrent executions", "a whole number, 1 or more", 1_000, ge=1)


class AcceptedFinding(Options):
    """A finding of a rule that somebody accepts at one resource, and until when."""

    finding: str = option(
        "the rule, as the report has it",
        "such as AwsSolutions-S1",
        pattern=r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)+(\[.+\])?$",
        examples=["AwsSolutions-S1"],
    )
    at: str = option(
        "the resource, as the report has it",
        "a construct's path such as sandpiper-prod-storage/DataBucket/Data",
        pattern=r"^[^/\s]+(/[^/]+)*$",
        examples=["sandpiper-prod-storage/DataBucket/Data"],
    )
    reason: ReviewText = option(
        "for the reviewer", "why it is accepted, in 1 to 200 characters", examples=["The logs' bucket has no logs"]
    )
    owner: ReviewText = option("for the reviewer", ALLOWED_OWNER, examples=["platform team"])
    expires: ExpiryDay | None = option(
        "its last day: past it nothing is synthesised, and for 30 days before it there is a warning",
        ALLOWED_EXPIRY,
        None,
    )


def _not_reserved(name: str) -> str:
    if name in RESERVED_TENANT_NAMES:
        raise ValueError("choose another name: the environment's own stacks have it")
    return name


def _not_aws_own(name: str) -> str:
    if name.lower().startswith(("aws:", "sandpiper:")):
        raise ValueError("choose another name")
    return name


_TAG_TEXT = r"^[\w .:/=+@-]*$"
TagName = Annotated[
    str,
    Field(
        pattern=_TAG_TEXT,
        min_length=1,
        max_length=128,
        description="1 to 128 of letters, digits, spaces and . : / = + - @ _, not beginning with aws: or sandpiper:",
    ),
    AfterValidator(_not_aws_own),
]
Owner = Annotated[str, Field(pattern=r"^[\w .:/=+@-]*\w[\w .:/=+@-]*$", max_length=200)]
ALLOWED_OWNER_TAG = "who answers for it, in 1 to 200 letters, digits, spaces and . : / = + - @ _, since it is a tag"
TagValue = Annotated[
    str,
    item(
        "at most 256 letters, digits, spaces and . : / = + - @ _, in quotes where it would be another type",
        "claims",
        pattern=_TAG_TEXT,
        max_length=256,
    ),
]
Tags = Annotated[dict[TagName, TagValue], Field(max_length=40)]
ALLOWED_TAGS = "a mapping of at most 40 tags, values of at most 256 letters, digits, spaces and . : / = + - @ _"

TenantName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="at most 24 of a-z 0-9 and single hyphens, a letter first, and not "
        + " | ".join(RESERVED_TENANT_NAMES),
    ),
    AfterValidator(_not_reserved),
]
Interpreters = Annotated[dict[ShortName, Interpreter], Field(min_length=1, max_length=20)]
# More would not fit the function's environment variables, which have 4 KB together.
ALLOWED_INTERPRETERS = "a mapping of 1 to 20 interpreters, such as sandbox: {}"


class Tenant(Options):
    """Who shares nothing with others: interpreters, data, workflow, alarms. The first interpreter is the default."""

    interpreters: Interpreters = option("by the key that requests use; the first is the default", ALLOWED_INTERPRETERS)
    owner: Owner | None = option("who answers for it, if not the environment's owner", ALLOWED_OWNER_TAG, None)
    tags: Tags = option("tags of its resources, beside the environment's", ALLOWED_TAGS, {})
    session_function: Annotated[SessionFunctionOptions, EmptyAsDefault] = option(
        "the Lambda function that runs its sessions",
        "a mapping of " + ", ".join(SessionFunctionOptions.model_fields),
        SessionFunctionOptions(),
    )
    alarms: Annotated[AlarmThresholds, EmptyAsDefault] = option(
        "when somebody is called", "a mapping of errors, throttles", AlarmThresholds()
    )


class Environment(Options):
    """One account and region with its tenants. `name` is part of every stack's and resource's name."""

    name: str = option(
        "part of every name: stacks, bucket, workflows",
        "at most 20 of a-z 0-9, a letter first, and the same as the file's name",
        pattern=f"^{ENVIRONMENT_NAME}$",
        examples=["prod"],
    )
    account: str = option(
        "where it is deployed", "12 digits in quotes", pattern=f"^{ACCOUNT}$", examples=["111122223333"]
    )
    region: str = option(
        "likewise; AgentCore has to be there",
        "an AWS region such as us-east-1",
        pattern=f"^{REGION}$",
        examples=["eu-west-1"],
    )
    owner: Owner = option("a tag of everything, for who finds it", ALLOWED_OWNER_TAG, examples=["platform team"])
    interpreters: Annotated[Interpreters | None, NotEmpty] = option(
        f"of an environment with one tenant, which is then called {DEFAULT_TENANT}; instead of tenants",
        ALLOWED_INTERPRETERS,
        None,
    )
    tenants: Annotated[Annotated[dict[TenantName, Tenant], Field(min_length=1)] | None, NotEmpty] = option(
        "one stack each; instead of interpreters", "a mapping with at least one tenant", None
    )
    tags: Tags = option("tags of all resources", ALLOWED_TAGS, {})
    availability_zones: dict[
        Annotated[str, Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9][a-z]$", description="a zone such as eu-west-1a")],
        Annotated[
            str,
            item(
                "an id such as euw1-az1, which every account has alike",
                "euw1-az1",
                pattern=r"^[a-z]{2,5}[0-9]+-az[0-9]+$",
            ),
        ],
    ] = option(
        "zones for VPC mode: this account's names and what they are everywhere (`aws ec2 describe-availability-zones`)",
        "a mapping such as eu-west-1a: euw1-az1, in zones that AgentCore supports",
        {},
    )
    network: Annotated[Network | None, EmptyAsDefault] = option(
        "a VPC of its own for interpreters in VPC mode", "a mapping of " + ", ".join(Network.model_fields), None
    )
    data_bucket: Annotated[DataBucket, EmptyAsDefault] = option(
        "where data is kept", "a mapping of " + ", ".join(DataBucket.model_fields), DataBucket()
    )
    logs: Annotated[Logs, EmptyAsDefault] = option(
        "logs of functions and workflows", "a mapping of retention_days", Logs()
    )
    alarm_topic_arn: str | None = option(
        "who is told when an alarm begins and ends",
        "the ARN of an SNS topic",
        None,
        pattern=rf"^arn:{PARTITION}:sns:[a-z0-9-]+:{ACCOUNT}:[A-Za-z0-9_-]{{1,256}}$",
    )
    budget: Annotated[Budget | None, NotEmpty] = option(
        "what a month may cost", "a mapping of usd_a_month, emails", None
    )
    quotas: Annotated[Quotas, EmptyAsDefault] = option(
        "what AWS has granted the account", "a mapping of " + ", ".join(Quotas.model_fields), Quotas()
    )
    permissions_boundary: str | None = option(
        "the most that any role made here may ever do",
        "the ARN of a managed policy, such as arn:aws:iam::111122223333:policy/NAME",
        None,
        pattern=rf"^arn:{PARTITION}:iam::({ACCOUNT}|aws):policy/[!-~]{{1,512}}$",
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
        "findings of rules that somebody accepts",
        "a list of mappings of " + ", ".join(AcceptedFinding.model_fields),
        (),
    )
    termination_protection: bool = option("whether stacks refuse to be deleted", "true or false", True)

    @property
    def all_tenants(self) -> dict[str, Tenant]:
        """The tenants by name, the unnamed one among them."""
        if self.interpreters is not None:
            return {DEFAULT_TENANT: Tenant(interpreters=self.interpreters)}
        return self.tenants or {}

    @property
    def is_embedded(self) -> bool:
        """Whether it is for the embedded AWS, where nothing expires."""
        return self.account == EMBEDDED_ACCOUNT
