"""An interpreter as an environment file has it: its network, what its code may reach, who may run code in it."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationInfo

from sandpiper.environment.options import (
    ACCOUNT,
    ALLOWED_KEY_ARN,
    ALLOWED_ROLE_ARN,
    PARTITION,
    AsTuple,
    EmptyAsDefault,
    KeyArn,
    Options,
    ReviewText,
    RoleArn,
    item,
    option,
)
from sandpiper_contract.aws import MAX_CERTIFICATES, MAX_SECURITY_GROUPS, MAX_SUBNETS
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

NETWORKS = "SANDBOX | PUBLIC | VPC"
MIN_SESSION_SECONDS, MAX_SESSION_SECONDS = SESSION_TIMEOUT_SECONDS
SUBNET_EXAMPLE, SECURITY_GROUP_EXAMPLE = "subnet-0123456789abcdef0", "sg-0123456789abcdef0"

Description = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ -]{1,200}$")]


def _not_past(day: datetime.date, info: ValidationInfo) -> datetime.date:
    given = cast("Mapping[str, datetime.date]", info.context or {})
    today = given.get("today", datetime.datetime.now(datetime.UTC).date())
    if day < today:
        raise ValueError("decide again: set a later day, or take away what it permits")
    return day


ExpiryDay = Annotated[datetime.date, AfterValidator(_not_past)]
ALLOWED_EXPIRY = "a date such as 2027-06-30, today or later (the embedded AWS alone may go without)"
ALLOWED_OWNER = "who answers for it, in 1 to 200 characters"


ALLOWED_FOLDER = "s3://BUCKET/FOLDER/ with a slash at its end and without * ? $"


class S3Access(Options):
    """A folder of a bucket, for code in an interpreter."""

    uri: str = option(
        "the folder, without wildcards",
        ALLOWED_FOLDER,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([^/*?$\x00-\x1f]+/)+$",
        examples=["s3://some-bucket/folder/"],
    )
    account: str | None = option(
        "whose bucket it is, if not this account's", "12 digits in quotes", None, pattern=f"^{ACCOUNT}$"
    )
    key: KeyArn | None = option("what encrypts it, if a KMS key does", ALLOWED_KEY_ARN, None)

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def folder(self) -> str:
        """The folder, without a slash at its end."""
        return self.uri.removeprefix("s3://").partition("/")[2].removesuffix("/")


def uri_alone(raw: object) -> object:
    """`s3://BUCKET/FOLDER/` is short for a mapping with nothing but `uri`."""
    return {"uri": raw} if isinstance(raw, str) else raw


S3Folders = Annotated[
    tuple[
        Annotated[
            S3Access,
            BeforeValidator(uri_alone),
            item(f"{ALLOWED_FOLDER}, or a mapping of uri, account, key", "s3://some-bucket/folder/"),
        ],
        ...,
    ],
    Field(max_length=50),
    AsTuple,
]
ALLOWED_FOLDERS = "a list of at most 50 folders, each s3://BUCKET/FOLDER/ or a mapping of uri, account, key"


class SessionLimits(Options):
    """How long sessions live: hard, from their start, whatever happens in them."""

    default_seconds: int = option(
        "of a request that does not say",
        f"a whole number of seconds from {MIN_SESSION_SECONDS} to {MAX_SESSION_SECONDS}",
        300,
        ge=MIN_SESSION_SECONDS,
        le=MAX_SESSION_SECONDS,
    )
    longest_seconds: int = option(
        "the most that a request may ask for",
        f"a whole number of seconds from {MIN_SESSION_SECONDS} to {MAX_SESSION_SECONDS}, at least default_seconds",
        MAX_SESSION_SECONDS,
        ge=MIN_SESSION_SECONDS,
        le=MAX_SESSION_SECONDS,
    )


class BaseInterpreter(Options):
    """What interpreters of every network have."""

    description: Description | None = option(
        "shown in AWS", "1 to 200 of A-Z a-z 0-9 _ - and spaces, as the service takes it", None
    )
    read: S3Folders = option("folders of S3 that its code may read, beside its own", ALLOWED_FOLDERS, ())
    write: S3Folders = option("folders of S3 that its code may read and write, beside its own", ALLOWED_FOLDERS, ())
    session: Annotated[SessionLimits, EmptyAsDefault] = option(
        "how long its sessions live", "a mapping of default_seconds, longest_seconds", SessionLimits()
    )
    certificates: Annotated[
        tuple[
            Annotated[
                str,
                item(
                    "the ARN of a secret in Secrets Manager",
                    "arn:aws:secretsmanager:eu-west-1:111122223333:secret:NAME",
                    pattern=rf"^arn:{PARTITION}:secretsmanager:[a-z0-9-]+:{ACCOUNT}:secret:[A-Za-z0-9/_+=.@-]+$",
                ),
            ],
            ...,
        ],
        Field(max_length=MAX_CERTIFICATES),
        AsTuple,
    ] = option(
        "secrets with root certificates that its code trusts as well",
        f"a list of at most {MAX_CERTIFICATES} ARNs of secrets in Secrets Manager",
        (),
    )
    execution_role: Literal["own", "none"] | RoleArn = option(
        "whom its code acts as: a role of its own, nobody, or a role that exists and trusts the service",
        f"own | none | {ALLOWED_ROLE_ARN}",
        "own",
        union_mode="left_to_right",
    )
    callers: Annotated[tuple[RoleArn, ...], Field(max_length=50), AsTuple] = option(
        "roles that may run code in it beside the session function; those of other accounts by a role to assume",
        f"a list of at most 50, each {ALLOWED_ROLE_ARN}",
        (),
    )


class SandboxInterpreter(BaseInterpreter):
    """An interpreter whose code reaches S3 and nothing else of the network."""

    network: Literal["SANDBOX"] = option("what code reaches: S3 and DNS alone", NETWORKS, "SANDBOX")


class PublicInterpreter(BaseInterpreter):
    """An interpreter whose code reaches the internet: somebody says why, answers for it, and until when."""

    network: Literal["PUBLIC"] = option("what code reaches: the internet", NETWORKS)
    reason: ReviewText = option(
        "for the reviewer",
        "why this interpreter needs the internet, in 1 to 200 characters",
        examples=["Packages from PyPI"],
    )
    owner: ReviewText = option("for the reviewer", ALLOWED_OWNER, examples=["platform team"])
    expires: ExpiryDay | None = option(
        "its last day: past it nothing is synthesised, and for 30 days before it there is a warning",
        ALLOWED_EXPIRY,
        None,
    )


class VpcInterpreter(BaseInterpreter):
    """An interpreter whose code reaches what a VPC lets it: the environment's own, or one that exists."""

    network: Literal["VPC"] = option("what code reaches: what the VPC lets it", NETWORKS)
    subnets: Annotated[
        tuple[
            Annotated[str, item(f"an id such as {SUBNET_EXAMPLE}", SUBNET_EXAMPLE, pattern="^subnet-[0-9a-z]{8,17}$")],
            ...,
        ],
        Field(min_length=1, max_length=MAX_SUBNETS),
        AsTuple,
    ] = option(
        "private subnets that exist; without them, those of the environment's own network",
        f"a list of 1 to {MAX_SUBNETS} ids such as {SUBNET_EXAMPLE}",
        (),
    )
    security_groups: Annotated[
        tuple[
            Annotated[
                str,
                item(f"an id such as {SECURITY_GROUP_EXAMPLE}", SECURITY_GROUP_EXAMPLE, pattern="^sg-[0-9a-z]{8,17}$"),
            ],
            ...,
        ],
        Field(min_length=1, max_length=MAX_SECURITY_GROUPS),
        AsTuple,
    ] = option(
        "security groups that exist; with subnets, and only then",
        f"a list of 1 to {MAX_SECURITY_GROUPS} ids such as {SECURITY_GROUP_EXAMPLE}",
        (),
    )


INTERPRETER_TYPES = {"SANDBOX": SandboxInterpreter, "PUBLIC": PublicInterpreter, "VPC": VpcInterpreter}


def _network_of(raw: object) -> str:
    if isinstance(raw, Mapping):
        return str(cast("Mapping[str, object]", raw).get("network", "SANDBOX"))
    return raw.network if isinstance(raw, tuple(INTERPRETER_TYPES.values())) else "SANDBOX"


Interpreter = Annotated[
    Annotated[SandboxInterpreter, Tag("SANDBOX")]
    | Annotated[PublicInterpreter, Tag("PUBLIC")]
    | Annotated[VpcInterpreter, Tag("VPC")],
    Discriminator(_network_of),
    EmptyAsDefault,
]
