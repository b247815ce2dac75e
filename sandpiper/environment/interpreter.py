"""Contains the options of an interpreter: network mode, S3 access, session limits and callers."""

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Discriminator, Field, Tag

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
from sandpiper_contract.requests import (
    DEFAULT_MAX_SESSION_TIMEOUT_SECONDS,
    DEFAULT_SESSION_TIMEOUT_SECONDS,
    SESSION_TIMEOUT_SECONDS,
)

NETWORKS = "SANDBOX | PUBLIC | VPC"
MIN_SESSION_SECONDS, MAX_SESSION_SECONDS = SESSION_TIMEOUT_SECONDS
_SESSION_SECONDS = f"a whole number of seconds from {MIN_SESSION_SECONDS} to {MAX_SESSION_SECONDS}"
SUBNET_EXAMPLE, SECURITY_GROUP_EXAMPLE = "subnet-0123456789abcdef0", "sg-0123456789abcdef0"

Description = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ -]{1,200}$")]


ALLOWED_EXPIRY = "a date such as 2027-06-30 (optional only on the embedded AWS)"
EXPIRY_TITLE = "last day; the stack cannot be deployed after it, with a warning in the 30 days before"
ALLOWED_OWNER = "a team or person, 1 to 200 characters"
OWNER_TITLE = "who is responsible, for the security review"


ALLOWED_FOLDER = "s3://BUCKET/FOLDER/ with a trailing slash and without * ? $"


class S3Access(Options):
    """A folder of an S3 bucket that code in an interpreter can access."""

    uri: str = option(
        "the folder",
        ALLOWED_FOLDER,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([^/*?$\x00-\x1f]+/)+$",
        examples=["s3://some-bucket/folder/"],
    )
    account: str | None = option(
        "the bucket owner, if it is not this account", "12 digits in quotes", None, pattern=f"^{ACCOUNT}$"
    )
    key: KeyArn | None = option("the KMS key that encrypts the bucket, if any", ALLOWED_KEY_ARN, None)

    @property
    def bucket(self) -> str:
        """Returns the bucket's name."""
        return self.uri.removeprefix("s3://").partition("/")[0]

    @property
    def folder(self) -> str:
        """Returns the folder without its trailing slash."""
        return self.uri.removeprefix("s3://").partition("/")[2].removesuffix("/")


def expand_uri(raw: object) -> object:
    """Converts the short form `s3://BUCKET/FOLDER/` to a mapping with `uri`."""
    return {"uri": raw} if isinstance(raw, str) else raw


S3Folders = Annotated[
    tuple[
        Annotated[
            S3Access,
            BeforeValidator(expand_uri),
            item(f"{ALLOWED_FOLDER}, or a mapping of uri, account, key", "s3://some-bucket/folder/"),
        ],
        ...,
    ],
    Field(max_length=50),
    AsTuple,
]
ALLOWED_FOLDERS = "a list of at most 50 folders, each s3://BUCKET/FOLDER/ or a mapping of uri, account, key"


class SessionLimits(Options):
    """The lifetime of sessions. It starts with the session and cannot be extended."""

    default_seconds: int = option(
        "lifetime in seconds if a request does not set one",
        _SESSION_SECONDS,
        DEFAULT_SESSION_TIMEOUT_SECONDS,
        ge=MIN_SESSION_SECONDS,
        le=MAX_SESSION_SECONDS,
    )
    longest_seconds: int = option(
        "maximum lifetime in seconds that a request can set",
        f"{_SESSION_SECONDS}, at least default_seconds",
        DEFAULT_MAX_SESSION_TIMEOUT_SECONDS,
        ge=MIN_SESSION_SECONDS,
        le=MAX_SESSION_SECONDS,
    )


class BaseInterpreter(Options):
    """The options of interpreters in every network mode."""

    description: Description | None = option(
        "description in the AWS console", "1 to 200 characters A-Z, a-z, 0-9, _, - and spaces", None
    )
    read: S3Folders = option("S3 folders that code can read, besides its own folder", ALLOWED_FOLDERS, ())
    write: S3Folders = option("S3 folders that code can read and write, besides its own folder", ALLOWED_FOLDERS, ())
    session: Annotated[SessionLimits, EmptyAsDefault] = option(
        "lifetime of sessions", "a mapping of default_seconds, longest_seconds", SessionLimits()
    )
    application_logs: bool = option(
        "whether AgentCore writes the code and the output of every call to a log group, for its readers to see",
        "true | false",
        False,
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
        "secrets with additional root certificates that code trusts",
        f"a list of at most {MAX_CERTIFICATES} ARNs of secrets in Secrets Manager",
        (),
    )
    execution_role: Literal["own", "none"] | RoleArn = option(
        "IAM role of the code: a new role (own), no role (none), or an existing role that trusts AgentCore",
        f"own | none | {ALLOWED_ROLE_ARN}",
        "own",
        union_mode="left_to_right",
    )
    callers: Annotated[tuple[RoleArn, ...], Field(max_length=50), AsTuple] = option(
        "roles that can run code besides the session function; roles of other accounts assume a role here",
        f"a list of at most 50, each {ALLOWED_ROLE_ARN}",
        (),
    )


class SandboxInterpreter(BaseInterpreter):
    """An interpreter whose code reaches S3, in every account and Region, and no other network destination."""

    network: Literal["SANDBOX"] = option(
        "network mode: code reaches S3 in every account, and nothing else", NETWORKS, "SANDBOX"
    )


class PublicInterpreter(BaseInterpreter):
    """An interpreter whose code reaches the internet. It needs a reason, an owner and an expiry date."""

    network: Literal["PUBLIC"] = option("network mode: code reaches the internet", NETWORKS)
    reason: ReviewText = option(
        "why code needs the internet, for the security review",
        "the reason for internet access, 1 to 200 characters",
        examples=["Packages from PyPI"],
    )
    owner: ReviewText = option(OWNER_TITLE, ALLOWED_OWNER, examples=["platform team"])
    expires: datetime.date | None = option(EXPIRY_TITLE, ALLOWED_EXPIRY, None)


class VpcInterpreter(BaseInterpreter):
    """An interpreter whose code reaches what a VPC allows: the environment's network, or an existing VPC."""

    network: Literal["VPC"] = option("network mode: code reaches what the VPC allows", NETWORKS)
    subnets: Annotated[
        tuple[
            Annotated[str, item(f"an id such as {SUBNET_EXAMPLE}", SUBNET_EXAMPLE, pattern="^subnet-[0-9a-z]{8,17}$")],
            ...,
        ],
        Field(min_length=1, max_length=MAX_SUBNETS),
        AsTuple,
    ] = option(
        "existing private subnets; without them, the environment's network is used",
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
        "existing security groups; required with subnets, not allowed without them",
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
