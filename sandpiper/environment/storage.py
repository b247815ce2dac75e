"""Contains the options of the data bucket: its name, its key and the retention of objects."""

from typing import Annotated, Literal

from pydantic import Field

from sandpiper.environment.options import ALLOWED_KEY_ARN, EmptyAsDefault, KeyArn, Options, ShortName, item, option

MAX_DAYS = 3_650
DEFAULT_DAYS = 90
_DAYS = f"a whole number of days from 1 to {MAX_DAYS}"
_OPTIONAL_DAYS = f"{_DAYS}, or null to keep objects forever"


class Retention(Options):
    """How many days objects are kept, by folder of a tenant, and how many days old versions are kept."""

    # The idempotency record of a run is stored with its files, and Step Functions allows a redrive for 14 days.
    # https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    runs: int = option(
        "outputs, results and records of runs",
        f"a whole number of days from 14 to {MAX_DAYS}",
        DEFAULT_DAYS,
        ge=14,
        le=MAX_DAYS,
    )
    # As long as runs: a run can be reviewed together with its inputs, and no folder grows for ever.
    inputs: int | None = option("input files of requests", _OPTIONAL_DAYS, DEFAULT_DAYS, ge=1, le=MAX_DAYS)
    sandbox: int | None = option(
        "files that code in sessions stores in its interpreter's folder",
        _OPTIONAL_DAYS,
        DEFAULT_DAYS,
        ge=1,
        le=MAX_DAYS,
    )
    old_versions: int = option(
        "how long an overwritten or deleted object, or access log, can be restored", _DAYS, 30, ge=1, le=MAX_DAYS
    )
    access_logs: int = option("logs of reads and writes", _DAYS, 365, ge=1, le=MAX_DAYS)
    removed_tenants: dict[ShortName, Annotated[int, item(_DAYS, 90, ge=1, le=MAX_DAYS)]] = option(
        "all data of a tenant that was removed from the file; without an entry it is kept forever",
        f"a mapping such as claims: 90, in days from 1 to {MAX_DAYS}",
        {},
    )


class DataBucket(Options):
    """The bucket for the data of all tenants, one folder for each tenant."""

    name: str | None = option(
        "an existing bucket in this account and region, with its own lifecycle and encryption; without a name, "
        "Sandpiper creates a bucket",
        "3 to 63 characters a-z, 0-9, dots and hyphens",
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    key: Literal["aws", "own"] | KeyArn = option(
        "encryption key: S3's key (aws), a new KMS key that is rotated every year (own), or an existing KMS key. "
        "A new key also encrypts workflows with their executions, variables of functions and all logs",
        f"aws | own | {ALLOWED_KEY_ARN}",
        "aws",
        union_mode="left_to_right",
    )
    retain: bool = option(
        "whether buckets, their key, and the logs of functions and workflows are kept when their stack is deleted; "
        "with `false`, AWS refuses to delete a bucket that contains objects",
        "true or false",
        True,
    )
    events: bool = option(
        "whether S3 sends an event to EventBridge for each object that is written or deleted, so that an upload can "
        "start a workflow; AWS bills each event",
        "true or false",
        False,
    )
    retention_days: Annotated[Retention, EmptyAsDefault] = Field(
        default=Retention(),
        title="how long objects are kept",
        description="a mapping of " + ", ".join(Retention.model_fields),
    )
