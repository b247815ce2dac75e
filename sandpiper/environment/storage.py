"""Where an environment keeps data: its bucket, the key, and for how long."""

from typing import Annotated, Literal

from pydantic import Field

from sandpiper.environment.options import ALLOWED_KEY_ARN, EmptyAsDefault, KeyArn, Options, ShortName, item, option

_DAYS = "a whole number of days from {low} to 3650, or nothing for ever"
MAX_DAYS = 3_650


class Retention(Options):
    """How many days objects of each folder live, and old versions of all of them."""

    # A run's claim lies with its files, and Step Functions takes a redrive for 14 days.
    # https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
    runs: int = option("what programs left", f"a whole number of days from 14 to {MAX_DAYS}", 90, ge=14, le=MAX_DAYS)
    inputs: int | None = option("what requests read", _DAYS.format(low=1), None, ge=1, le=MAX_DAYS)
    sandbox: int | None = option(
        "what code in sessions keeps in its interpreter's own folder", _DAYS.format(low=1), None, ge=1, le=MAX_DAYS
    )
    old_versions: int = option(
        "how long an overwritten or deleted object can be brought back",
        f"a whole number of days from 1 to {MAX_DAYS}",
        30,
        ge=1,
        le=MAX_DAYS,
    )
    access_logs: int = option(
        "who read and wrote what", f"a whole number of days from 1 to {MAX_DAYS}", 365, ge=1, le=MAX_DAYS
    )
    removed_tenants: dict[
        ShortName, Annotated[int, item(f"a whole number of days from 1 to {MAX_DAYS}", 90, ge=1, le=MAX_DAYS)]
    ] = option(
        "all that tenants left which are no longer in the file; without them here, for ever",
        f"a mapping such as claims: 90, in days from 1 to {MAX_DAYS}",
        {},
    )


class DataBucket(Options):
    """The bucket of all tenants' data, each in its own folder."""

    name: str | None = option(
        "a bucket that exists, in this account and region, whose lifecycle and encryption are its owner's; "
        "without one, a bucket is made",
        "3 to 63 of a-z 0-9 . and hyphens",
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    key: Literal["aws", "own"] | KeyArn = option(
        "what encrypts it: S3's key, a KMS key that is made for it and rotated each year, or a KMS key that exists",
        f"aws | own | {ALLOWED_KEY_ARN}",
        "aws",
        union_mode="left_to_right",
    )
    retain: bool = option(
        "whether it stays when its stack is deleted; with `false` AWS refuses to delete it while objects are in it",
        "true or false",
        True,
    )
    retention_days: Annotated[Retention, EmptyAsDefault] = Field(
        default=Retention(),
        title="how long objects live",
        description="a mapping of " + ", ".join(Retention.model_fields),
    )
