"""What a platform engineer writes in `environments/NAME.yaml`, as types: the options, their limits and their defaults.

Every description below is also what an error message says is allowed. Reading a file and telling what is wrong with it
is in `file` and `errors`; what is built from an environment is in `stacks`, which this package never imports.
"""

import datetime
from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationInfo

from sandpiper.environment.regions import INTERPRETER_REGIONS
from sandpiper.names import STORAGE

NETWORKS = "SANDBOX | PUBLIC"
LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The values that CloudWatch Logs takes (PutRetentionPolicy)."""


class Options(BaseModel):
    """A mapping of the file: its keys are known, its types exact, its values fixed once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _only_retention_values(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        raise ValueError
    return days


def _not_past(day: datetime.date, info: ValidationInfo) -> datetime.date:
    given = cast("Mapping[str, datetime.date]", info.context or {})
    today = given.get("today", datetime.datetime.now(datetime.UTC).date())
    if day < today:
        raise ValueError
    return day


def _empty_as_default(value: object) -> object:
    """`sandbox:` with nothing after it reads as None in YAML and means an interpreter with every default."""
    return {} if value is None else value


Sentence = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Description = Annotated[
    str | None,
    Field(
        pattern=r"^[A-Za-z0-9_ -]{1,200}$",
        description="1 to 200 of A-Z a-z 0-9 _ - and spaces, as the service takes it",
    ),
]


class SandboxInterpreter(Options):
    """An interpreter whose code reaches S3 and nothing else of the network."""

    network: Literal["SANDBOX"] = Field(default="SANDBOX", description=NETWORKS)
    description: Description = None


class PublicInterpreter(Options):
    """An interpreter whose code reaches the internet: somebody says why, answers for it, and until when."""

    network: Literal["PUBLIC"] = Field(description=NETWORKS)
    reason: Sentence = Field(description="why this interpreter needs the internet, in 1 to 200 characters")
    owner: Sentence = Field(description="who answers for it, in 1 to 200 characters")
    expires: Annotated[datetime.date, AfterValidator(_not_past)] = Field(
        description="a date such as 2027-06-30, today or later"
    )
    description: Description = None


def _network_of(raw: object) -> str:
    if isinstance(raw, Mapping):
        return str(cast("Mapping[str, object]", raw).get("network", "SANDBOX"))
    return raw.network if isinstance(raw, SandboxInterpreter | PublicInterpreter) else "SANDBOX"


Interpreter = Annotated[
    Annotated[SandboxInterpreter, Tag("SANDBOX")] | Annotated[PublicInterpreter, Tag("PUBLIC")],
    Discriminator(_network_of),
    BeforeValidator(_empty_as_default),
]


class SessionFunctionOptions(Options):
    """The Lambda function that runs sessions for a tenant."""

    memory_mib: int = Field(default=512, ge=128, le=10_240, description="a whole number of MiB from 128 to 10240")
    timeout_seconds: int = Field(default=900, ge=60, le=900, description="a whole number of seconds from 60 to 900")
    reserved_concurrency: int | None = Field(
        default=None, ge=1, le=1_000, description="a whole number of functions at once from 1 to 1000"
    )


class AlarmThresholds(Options):
    """How many in five minutes raise an alarm."""

    errors: int = Field(default=1, ge=1, description="a whole number of failed runs in five minutes, 1 or more")
    throttles: int = Field(default=5, ge=1, description="a whole number of throttled calls in five minutes, 1 or more")


def _not_storage(name: str) -> str:
    if name == STORAGE:
        raise ValueError
    return name


InterpreterKey = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="at most 24 of a-z 0-9 and single hyphens, a letter first",
    ),
]
TenantName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description=f"at most 24 of a-z 0-9 and single hyphens, a letter first, and not {STORAGE}",
    ),
    AfterValidator(_not_storage),
]


class Tenant(Options):
    """Who shares nothing with others: interpreters, data, workflow, alarms. The first interpreter is the default."""

    # More would not fit the function's environment variables, which have 4 KB together.
    interpreters: dict[InterpreterKey, Interpreter] = Field(
        min_length=1, max_length=20, description="a mapping of 1 to 20 interpreters, such as sandbox: {}"
    )
    session_function: SessionFunctionOptions = Field(
        default=SessionFunctionOptions(), description="a mapping of memory_mib, timeout_seconds, reserved_concurrency"
    )
    alarms: AlarmThresholds = Field(default=AlarmThresholds(), description="a mapping of errors, throttles")


class Environment(Options):
    """One account and region with its tenants."""

    # No hyphen: `sandpiper-NAME-TENANT` then names one environment and one tenant, and never two pairs of them.
    name: str = Field(
        pattern=r"^[a-z][a-z0-9]{0,19}$",
        description="at most 20 of a-z 0-9, a letter first, and the same as the file's name",
    )
    account: str = Field(pattern=r"^[0-9]{12}$", description="12 digits in quotes")
    region: str = Field(pattern=r"^[a-z]{2,4}(-[a-z]+)+-[0-9]$", description="an AWS region such as us-east-1")
    retain_data: bool = Field(default=True, description="true or false")
    termination_protection: bool = Field(default=True, description="true or false")
    log_retention_days: Annotated[int, AfterValidator(_only_retention_values)] = Field(
        default=30, description="one of " + ", ".join(map(str, LOG_RETENTION_DAYS))
    )
    # A run's claim lies with its files, and Step Functions takes a redrive for 14 days.
    # https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    run_retention_days: int = Field(default=90, ge=14, le=3_650, description="a whole number of days from 14 to 3650")
    alarm_topic_arn: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$",
        description="the ARN of an SNS topic",
    )
    tenants: dict[TenantName, Tenant] = Field(min_length=1, description="a mapping with at least one tenant")

    @property
    def region_is_known(self) -> bool:
        """Whether the region was known to offer custom interpreters when this version was made."""
        return self.region in INTERPRETER_REGIONS
