"""Contains the options of the audit trail, the events that it records, and the checks of these options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sandpiper.environment.errors import ConfigIssue
from sandpiper.environment.options import ACCOUNT, PARTITION, Options, option
from sandpiper.environment.storage import MAX_DAYS
from sandpiper.names import data_bucket_name, interpreter_name_prefix
from sandpiper_contract.audit import audit_selectors
from sandpiper_contract.aws import partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.model import Environment
    from sandpiper_contract.audit import EventSelector

_TRAIL_NAME = r"[A-Za-z0-9]([._-]?[A-Za-z0-9]){2,127}"
"""https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-trail-naming-requirements.html"""
ALLOWED_TRAIL = (
    "own | the name or ARN of an existing trail, such as "
    "arn:aws:cloudtrail:eu-west-1:111122223333:trail/organization (not own)"
)
TrailName = Annotated[
    str,
    Field(pattern=rf"^(arn:{PARTITION}:cloudtrail:[a-z0-9-]+:{ACCOUNT}:trail/)?{_TRAIL_NAME}$", max_length=256),
]


class Audit(Options):
    """The CloudTrail trail that records who accessed objects and who ran code. Without this option there is none."""

    trail: Literal["own"] | TrailName = option(
        "the trail: a new one that records this environment only (own), or an existing one, such as that of the "
        "organization, which `sandpiper plan` and `sandpiper status` check",
        ALLOWED_TRAIL,
        examples=["own"],
        union_mode="left_to_right",
    )
    # PCI DSS 4.0.1, 10.5.1, requires twelve months of audit history.
    retention_days: int = option(
        "how long log files of the new trail are kept",
        f"a whole number of days from 1 to {MAX_DAYS}, only with `trail: own`",
        365,
        ge=1,
        le=MAX_DAYS,
    )

    @property
    def is_own(self) -> bool:
        """Returns whether the environment creates the trail."""
        return self.trail == "own"


def event_selectors(environment: Environment) -> tuple[EventSelector, ...]:
    """Returns the events of an environment that an audit trail records."""
    name, account, region = environment.name, environment.account, environment.region
    return audit_selectors(
        partition=partition_of(region),
        region=region,
        account=account,
        bucket=environment.data_bucket.name or data_bucket_name(name, account, region),
        interpreter_prefix=interpreter_name_prefix(name),
    )


def _check_retention(environment: Environment) -> Iterator[ConfigIssue]:
    audit = environment.audit
    if audit is not None and not audit.is_own and "retention_days" in audit.model_fields_set:
        yield ConfigIssue(
            key_path=("audit", "retention_days"),
            problem=f"is set, but Sandpiper does not manage the log files of the trail {audit.trail}",
            allowed="retention_days only with trail: own",
            remedy="remove it, and set the retention at the bucket of that trail",
            depends_on=(("audit", "trail"),),
        )


AUDIT_CHECKS = (_check_retention,)
