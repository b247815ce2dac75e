"""The rules about the account, which only a review with `--deployed` applies."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.review.model import ReviewModel

DRIFT, IDENTITY, NOT_READ = "account-drift", "account-identity", "account-not-read"
BUCKET, MISSING = "account-bucket", "account-missing"


def _nothing(_model: ReviewModel) -> Iterable[Occurrence]:
    return ()


ACCOUNT_RULES = (
    Rule(
        id=NOT_READ,
        group="account",
        severity=Severity.HIGH,
        title="Every part of the account that the review needs was read.",
        reason="What was not read can allow anything. The review uses the template instead.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html",
        remedy="Allow the action that the message names. `docs/how-to/review-an-account.md` has the whole role.",
        check=_nothing,
    ),
    Rule(
        id=DRIFT,
        group="account",
        severity=Severity.HIGH,
        title="The account has the grants, limits and settings of the cloud assembly.",
        reason="A change outside of the environment file was not reviewed, and the next deployment may keep it.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html",
        remedy="Undo the change in the account, or write it into the environment file and deploy. "
        "`sandpiper plan` shows what is not deployed yet.",
        check=_nothing,
    ),
    Rule(
        id=MISSING,
        group="account",
        severity=Severity.HIGH,
        title="The roles and users that the environment names exist.",
        reason="An identity that creates one of that name gets its permissions.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html",
        remedy="Create it, or remove it from the environment file.",
        check=_nothing,
    ),
    Rule(
        id=BUCKET,
        group="account",
        severity=Severity.HIGH,
        title="The policy of an existing bucket denies what that of a bucket of Sandpiper denies.",
        reason="Other identities could read the data, or forge the records of runs.",
        source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html",
        remedy="Copy the statements from the template of an environment that creates its bucket.",
        check=_nothing,
    ),
    Rule(
        id=IDENTITY,
        group="account",
        severity=Severity.MEDIUM,
        title="No identity that the environment does not name can use interpreters, programs or data.",
        reason="It can run code, or change what runs, without an approval in the environment file.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
        remedy="Remove the permission, name the identity in the environment file, or accept that it administers the "
        "account.",
        check=_nothing,
    ),
)
"""The rules. What they find is read from the account before they are applied; see `with_occurrences`."""


def with_occurrences(occurrences: Mapping[str, Iterable[Occurrence]]) -> tuple[Rule, ...]:
    """Returns the rules with what was found, by the id of the rule."""
    return tuple(_with(rule, tuple(occurrences.get(rule.id, ()))) for rule in ACCOUNT_RULES)


def _with(rule: Rule, found: tuple[Occurrence, ...]) -> Rule:
    def check(_model: ReviewModel) -> Iterable[Occurrence]:
        return found

    return replace(rule, check=check)
