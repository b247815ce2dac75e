"""Contains the options of accepted findings."""

import datetime

from sandpiper.environment.interpreter import ALLOWED_EXPIRY, ALLOWED_OWNER, EXPIRY_TITLE, OWNER_TITLE
from sandpiper.environment.options import Options, ReviewText, option


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
