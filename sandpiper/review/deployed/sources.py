"""Builds templates of what is deployed: those of the stacks with the policies of the account, and account resources."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandpiper.plan.resource_types import BUCKET, FUNCTION, INTERPRETER, ROLE
from sandpiper.plan.template import referenced_id
from sandpiper.review.building.types import MANAGED_POLICY, PERMISSION, POLICY_TYPES
from sandpiper.review.deployed.stack_resources import BUCKET_SETTINGS, POLICY, READS, read_properties
from sandpiper.review.reading.document import Document
from sandpiper.review.reading.source import TemplateSource
from sandpiper.review.reading.values import as_mapping
from sandpiper_contract.aws import ENVIRONMENT_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.plan.target import DeploymentTarget
    from sandpiper.review.deployed.identities import AccountIdentities, AccountIdentity
    from sandpiper.review.deployed.reading import AccountReader

BUCKET_POLICY = "AWS::S3::BucketPolicy"
ACCOUNT_BUCKETS = "account-buckets"
"""The name of the template with existing buckets."""
_ROLE_PROPERTIES = ("AssumeRolePolicyDocument", "PermissionsBoundary", "Policies", "Tags")
Entries = dict[str, dict[str, Any]]


def stack_source(
    reader: AccountReader,
    stack: DeployedStack,
    identities: AccountIdentities | None,
    synthesized: TemplateSource | None,
    physical_ids: Mapping[str, str],
) -> tuple[TemplateSource, list[str]]:
    """Returns the template of a deployed stack with the policies of the account, and the addresses of missing roles.

    Args:
        reader: Reads the account.
        stack: The deployed stack.
        identities: The identities of the account; None if they could not be read, so that the template's count.
        synthesized: The template of the assembly, which has construct paths and acceptances.
        physical_ids: The physical IDs by logical ID.
    """
    entries: Entries = copy.deepcopy(dict(stack.template.content["Resources"]))
    missing = [] if identities is None else _overlay_roles(entries, identities, physical_ids)
    for logical_id in [*entries]:
        physical_id = physical_ids.get(logical_id)
        if physical_id and logical_id in entries:  # a policy may have been replaced together with its resource
            label, address = f"{stack.template.labels[logical_id]} of {stack.name}", f"{stack.name}/{logical_id}"
            found = read_properties(reader, READS.get(entries[logical_id]["Type"], ()), physical_id, label, address)
            _overlay(entries, logical_id, found)
    content = {**stack.template.content, "Resources": entries}
    source = synthesized or TemplateSource(stack.name, _document("", {}))
    target = stack.template.target
    return (
        replace(
            source,
            document=_document(f"deployed/{stack.name}", content),
            account=target.account,
            region=target.region,
            physical_ids=physical_ids,
        ),
        [f"{stack.name}/{one}" for one in missing],
    )


def _overlay_roles(entries: Entries, identities: AccountIdentities, physical_ids: Mapping[str, str]) -> list[str]:
    """Replaces the policies of roles. Returns the logical IDs of roles that do not exist."""
    missing: list[str] = []
    for logical_id in [one for one, entry in entries.items() if entry["Type"] == ROLE and one in physical_ids]:
        role = identities.role(physical_ids[logical_id])
        if role is None:
            missing.append(logical_id)
            del entries[logical_id]
            continue
        properties = entries[logical_id].setdefault("Properties", {})
        for name in _ROLE_PROPERTIES:
            properties.pop(name, None)
        properties |= {name: role.properties[name] for name in _ROLE_PROPERTIES if name in role.properties}
        properties["ManagedPolicyArns"] = list(role.managed)
    for logical_id, entry in [*entries.items()]:
        if entry["Type"] == MANAGED_POLICY:
            properties = entry.setdefault("Properties", {})
            for name in POLICY_TYPES[MANAGED_POLICY]:  # the roles have its ARN
                properties.pop(name, None)
            if document := identities.documents.get(physical_ids.get(logical_id, "")):
                properties["PolicyDocument"] = document
        elif entry["Type"] in POLICY_TYPES:  # an inline policy, which its role has
            del entries[logical_id]
    return missing


def _overlay(entries: Entries, logical_id: str, found: dict[str, Any]) -> None:
    """Replaces properties of a resource, and the resources that are its policy."""
    entry = entries[logical_id]
    properties = entry.setdefault("Properties", {})
    if entry["Type"] == INTERPRETER and "NetworkMode" in found:
        properties["NetworkConfiguration"]["NetworkMode"] = found.pop("NetworkMode")
    if POLICY in found and entry["Type"] in (BUCKET, FUNCTION):
        document = found.pop(POLICY)
        type_, reference = {BUCKET: (BUCKET_POLICY, "Bucket"), FUNCTION: (PERMISSION, "FunctionName")}[entry["Type"]]
        replaced = [one for one, each in entries.items() if _refers_to(each, type_, reference, logical_id)]
        for name in replaced:
            del entries[name]
        if document is not None and type_ == BUCKET_POLICY:
            bucket_policy = {"Bucket": {"Ref": logical_id}, "PolicyDocument": document}
            entries[next(iter(replaced), f"{logical_id}Policy")] = {"Type": BUCKET_POLICY, "Properties": bucket_policy}
        elif document is not None:
            properties["ResourcePolicy"] = document
    properties |= found


def _refers_to(entry: Mapping[str, Any], type_: str, reference: str, logical_id: str) -> bool:
    return entry["Type"] == type_ and referenced_id(as_mapping(entry.get("Properties")).get(reference)) == logical_id


def identity_sources(
    identities: AccountIdentities, chosen: Iterable[AccountIdentity], target: DeploymentTarget
) -> list[TemplateSource]:
    """Returns templates with identities of the account, whose addresses are their ARNs."""
    groups: dict[str, Entries] = defaultdict(dict)
    for one in identities.with_groups(chosen):
        prefix, _, name = one.arn.rpartition("/")
        groups[prefix][name] = one.resource()
        if boundary := identities.boundary(one):
            prefix, _, name = one.properties["PermissionsBoundary"].rpartition("/")
            groups[prefix][name] = boundary
    return [_account_source(name, entries, target) for name, entries in groups.items()]


def bucket_source(
    reader: AccountReader, names: Iterable[str], target: DeploymentTarget, environment: str
) -> list[TemplateSource]:
    """Returns a template with existing buckets and their policies; none without an existing bucket."""
    entries: Entries = {}
    for name in names:
        address = f"{ACCOUNT_BUCKETS}/{name}"
        found = read_properties(reader, BUCKET_SETTINGS, name, f"bucket {name}", address)
        document = found.pop(POLICY, None)
        tags = [{"Key": ENVIRONMENT_TAG, "Value": environment}]
        entries[name] = {"Type": BUCKET, "Properties": {"BucketName": name, "Tags": tags, **found}}
        if document is not None:
            policy = {"Bucket": {"Ref": name}, "PolicyDocument": document}
            entries[f"{name}-policy"] = {"Type": BUCKET_POLICY, "Properties": policy}
    return [_account_source(ACCOUNT_BUCKETS, entries, target)] if entries else []


def _account_source(name: str, entries: Entries, target: DeploymentTarget) -> TemplateSource:
    document = _document("account", {"Resources": entries})
    return TemplateSource(name, document, account=target.account, region=target.region)


def _document(file: str, content: Mapping[str, Any]) -> Document:
    text = json.dumps(content, sort_keys=True, default=str)
    return Document(file, dict(content), lambda _: None, hashlib.sha256(text.encode()).hexdigest())
