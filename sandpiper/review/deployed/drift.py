"""Compares the account with the cloud assembly: grants, limits, and settings of resources."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET, INTERPRETER
from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.entries import entries_of
from sandpiper.review.baseline.file import Baseline
from sandpiper.review.findings import Severity
from sandpiper.review.rule import Occurrence
from sandpiper.status.drift import COMPARERS
from sandpiper.status.parameters import PARAMETER
from sandpiper.status.physical_template import physical_template
from sandpiper_policy.model.location import Location
from sandpiper_policy.model.statements import PolicyUse

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.review.baseline.entries import Entry
    from sandpiper.review.deployed.reading import AccountReader
    from sandpiper.review.model import ReviewModel

COMPARED = {
    BUCKET: "s3:ListBucket, s3:GetBucketVersioning, s3:GetBucketPublicAccessBlock, s3:GetEncryptionConfiguration and "
    "s3:GetLifecycleConfiguration",
    INTERPRETER: "bedrock-agentcore:GetCodeInterpreter and bedrock-agentcore:ListTagsForResource",
    PARAMETER: "ssm:GetParameter",
}
"""Types of which the settings are compared, with the actions for a message of AWS that names none."""


def drift_of_grants(deployed: ReviewModel, assembly: ReviewModel, outside: Collection[str]) -> Iterator[Occurrence]:
    """Yields the grants and limits of the account that the assembly does not contain, and those that are missing.

    Args:
        deployed: The model of the account.
        assembly: The model of the assembly.
        outside: The addresses of resources that no stack contains. The assembly does not know their policies.
    """
    baseline = Baseline(assembly.name, "", datetime.date.min, entries_of(assembly), {})
    changes = compare(deployed, baseline)
    locations = {deployed.labels.without_hashes(address): one.location for address, one in deployed.by_address.items()}

    def at(entry: Entry, text: str, severity: Severity, *evidence: str) -> Iterator[Occurrence]:
        if entry.holder in outside or _is_boundary_of_account(entry):
            return
        location = entry.statement.location if entry.statement and text == "added" else locations.get(entry.holder)
        sentence = f"{text}: {entry.sentence}"
        yield Occurrence(location or Location("account", address=entry.holder), sentence, evidence, severity)

    for one in changes.granted:
        evidence = (f"example: {one.example}",) if one.example else ()
        yield from at(one.entry, "added", Severity.HIGH, *evidence)
    for entries, text, severity in (
        (changes.loosened, "missing", Severity.HIGH),
        (changes.revoked, "missing", Severity.LOW),
        (changes.tightened, "added", Severity.LOW),
    ):
        for entry in entries:
            yield from at(entry, text, severity)


def _is_boundary_of_account(entry: Entry) -> bool:
    """Returns whether a statement is of a boundary that no stack contains. Roles are compared by its ARN."""
    one = entry.statement
    return one is not None and one.use is PolicyUse.BOUNDARY and one.location.address.startswith("arn:")


def drift_of_settings(
    reader: AccountReader, stacks: Sequence[DeployedStack], physical_ids: Mapping[str, Mapping[str, str]]
) -> Iterator[Occurrence]:
    """Yields the differences of buckets, interpreters and SSM parameters between the templates and the account."""
    for stack in stacks:
        template = physical_template(stack, physical_ids[stack.name])
        for logical_id, one in template.resources.items():
            if one.type not in COMPARED or logical_id not in template.physical_ids:
                continue
            address, label = f"{stack.name}/{logical_id}", template.labels[logical_id]
            compare_one = COMPARERS[one.type][0]
            found = reader.read(
                f"settings of {label} of {stack.name}",
                COMPARED[one.type],
                lambda compare_one=compare_one, template=template, logical_id=logical_id: list(
                    compare_one(reader.account, template, logical_id)
                ),
                [],
                address,
            )
            for each in found or ():
                text = f"{label}, {each.property}: expected {each.expected}; found {each.found}"
                location = Location(f"deployed/{stack.name}", address=address)
                if each.is_unresolved:
                    text = f"{label}, {each.property} cannot be compared: only CloudFormation knows its value"
                    yield Occurrence(location, text, severity=Severity.LOW)
                else:
                    yield Occurrence(location, text)
