"""Reads the decisions to accept findings: from the environment file, from constructs and from metadata.

- `accepted_findings` of an environment file, and `Validations.of(scope).acknowledge(...)` of a CDK app, are in the
  cloud assembly as metadata of the construct. The reason of the first ends with `(accepted by OWNER, until DATE)`.
- In a template, the metadata `Sandpiper::Accepted` of a resource has, by rule: Reason, Owner and Expires.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sandpiper.review.building.resources import ACKNOWLEDGED
from sandpiper.review.findings import Acceptance, Finding, Severity
from sandpiper.review.reading.values import as_list, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

ACCEPTED = "Sandpiper::Accepted"
_OWNER = re.compile(r"(.*) \(accepted by (.*?)(?:, until (\d{4}-\d{2}-\d{2}))?\)", re.DOTALL)
PLUGIN = "Sandpiper"
APP = "the app"
"""The source of an acceptance that the CDK app acknowledges."""
RULE_PREFIX = f"{PLUGIN}-"
"""Precedes the id of a rule in acknowledgements, as the name of a rule pack precedes the rules of cdk-nag."""


INCOMPLETE = "its acceptance has no owner or no expiry date, which a finding of high severity needs"
EQUIVALENTS = {
    "CKV_AWS_115": "limits-concurrency",
    "CKV_AWS_158": "logs-encryption",
    "CloudWatchLogGroupEncrypted": "logs-encryption",
    "LambdaConcurrency": "limits-concurrency",
    "CloudWatchLogGroupRetentionPeriod": "logs-retention",
    "S3BucketVersioningEnabled": "data-versions",
    "KMSBackingKeyRotationEnabled": "data-key-rotation",
    "VPCFlowLogsEnabled": "network-flow-logs",
}
"""Rules of cdk-nag, without the name of their pack, and of checkov that require the same as a rule of this review."""


def acceptances_of(resource: Resource) -> dict[str, Acceptance]:
    """Returns the decisions at a resource about findings of this review, by rule."""
    found: dict[str, Acceptance] = {}
    for id_, reason in as_mapping(resource.metadata.get(ACKNOWLEDGED)).items():
        plugin, _, rule = id_.partition("::")
        if plugin == PLUGIN:
            match = _OWNER.fullmatch(as_text(reason))
            text, owner, expires = match.groups() if match else (as_text(reason), "", None)
            found[rule.removeprefix(RULE_PREFIX)] = Acceptance(text, owner, _date(expires), APP)
    for rule, entry in as_mapping(resource.metadata.get(ACCEPTED)).items():
        fields = as_mapping(entry)
        reason, owner, expires = (as_text(fields.get(name)) for name in ("Reason", "Owner", "Expires"))
        found[rule] = Acceptance(reason, owner, _date(expires), f"metadata {ACCEPTED}")
    return found


def equivalent_acceptances(resource: Resource) -> dict[str, Acceptance]:
    """Returns the decisions at a resource about the same findings of cdk-nag and checkov, by rule of this review."""
    found: dict[str, Acceptance] = {}
    for id_, reason in as_mapping(resource.metadata.get(ACKNOWLEDGED)).items():
        name = id_.rpartition("-")[2]
        if name in EQUIVALENTS:
            found[EQUIVALENTS[name]] = Acceptance(as_text(reason), "", None, f"cdk-nag {name}")
    for entry in as_list(as_mapping(resource.metadata.get("checkov")).get("skip")):
        name, reason = (as_text(as_mapping(entry).get(key)) for key in ("id", "comment"))
        if name in EQUIVALENTS:
            found.setdefault(EQUIVALENTS[name], Acceptance(reason, "", None, f"checkov {name}"))
    return found


def _date(text: str | None) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text or "")
    except ValueError:
        return None


def with_acceptances(model: ReviewModel, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yields findings with the decisions that accept them.

    A finding of high severity needs a decision with a reason, an owner and an expiry date. Others need a reason.
    """
    known: dict[str, dict[str, Acceptance]] = {}
    for finding in findings:
        resource = model.by_address.get(finding.resource)
        if resource is None or finding.acceptance is not None:
            yield finding
            continue
        if finding.resource not in known:
            known[finding.resource] = equivalent_acceptances(resource) | acceptances_of(resource)
        acceptance = known[finding.resource].get(finding.rule_id)
        if acceptance is None or not acceptance.reason:
            yield finding
        elif finding.severity is Severity.HIGH and not (acceptance.owner and acceptance.expires):
            yield replace(finding, evidence=(*finding.evidence, INCOMPLETE))
        else:
            yield replace(finding, acceptance=acceptance)
