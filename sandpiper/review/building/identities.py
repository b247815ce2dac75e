"""Collects identities and the policies that are attached to them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sandpiper.review.building.documents import RawDocument
from sandpiper.review.building.types import IDENTITY_TYPES, MANAGED_POLICY, POLICY_TYPES, PROGRAM_ROLES
from sandpiper.review.reading.values import as_list, as_mapping
from sandpiper_policy.model.identities import Identity, IdentityKind
from sandpiper_policy.model.statements import PolicyUse
from sandpiper_policy.principals import ACCOUNT_ID, ARN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.review.building.documents import DocumentReader
    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.scope import Scope
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.location import Location

_KINDS = {"role": IdentityKind.ROLE, "user": IdentityKind.USER, "group": IdentityKind.GROUP}


@dataclass
class _Policies:
    """The policies of one identity while they are collected."""

    attached: list[AttachedPolicy] = field(default_factory=list["AttachedPolicy"])
    managed_arns: list[str] = field(default_factory=list[str])
    boundary: AttachedPolicy | None = None
    boundary_arn: str = ""
    trust: AttachedPolicy | None = None


class IdentityCollector:
    """Collects the identities of a set of templates.

    Args:
        templates: Every template with its scope.
        resources: Their resources, by template.
        reader: Reads policy documents.
    """

    def __init__(
        self,
        templates: Mapping[str, tuple[TemplateSource, Scope]],
        resources: Iterable[Resource],
        reader: DocumentReader,
    ) -> None:
        self._templates, self._reader = templates, reader
        self._resources = list({one.address: one for one in resources}.values())
        self._policies: dict[str, _Policies] = defaultdict(_Policies)
        self._found: dict[str, Identity] = {}
        self._by_name: dict[tuple[str, str, str], str] = {}
        """Addresses by kind, account and name."""
        self._managed: dict[str, Resource] = {one.arn: one for one in self._resources if one.type == MANAGED_POLICY}
        for one in self._resources:
            if one.type in IDENTITY_TYPES:
                kind = IDENTITY_TYPES[one.type]
                self._by_name[kind, one.account, one.physical_id] = one.address
                identity = Identity(one.address, _KINDS[kind], one.arn, one.account, one.location)
                self._found[one.address] = identity

        for one in self._resources:
            if one.type in IDENTITY_TYPES:
                self._read_identity(one)
        for one in self._resources:
            if one.type in POLICY_TYPES:
                self._read_policy(one)
            elif one.type in PROGRAM_ROLES and (role := one.get(PROGRAM_ROLES[one.type])):
                self.address_of_arn(str(role), one.location)
        self._read_groups()

    def identities(self) -> dict[str, Identity]:
        """Returns the identities of the templates by address, then those that the templates only name."""
        return {
            address: replace(
                identity,
                policies=tuple(self._policies[address].attached),
                boundary=self._policies[address].boundary,
                boundary_arn=self._policies[address].boundary_arn,
                trust=self._policies[address].trust,
                managed_arns=tuple(dict.fromkeys(self._policies[address].managed_arns)),
            )
            for address, identity in self._found.items()
        }

    def add_principals(self, policies: Iterable[AttachedPolicy]) -> None:
        """Adds every principal that policies name."""
        for policy in policies:
            for statement in policy.statements:
                principal = statement.syntax.principal
                for _, name in principal.names if principal else ():
                    self.address_of_arn(name, statement.location)

    def address_of_arn(self, arn: str, location: Location) -> str:
        """Returns the address of the identity with an ARN or a name, and adds it when the templates do not create it.

        Args:
            arn: An ARN, an account ID, `*`, or the name of a service or provider.
            location: Where it is named.
        """
        parts = ARN.fullmatch(arn)
        if parts is not None and parts["path"]:
            name = parts["path"].rpartition("/")[2]
            address = self._by_name.get((parts["kind"], parts["account"], name))
            if address is not None:
                return address
            self._by_name[parts["kind"], parts["account"], name] = arn
        if arn not in self._found:
            account = parts["account"] if parts else arn if ACCOUNT_ID.fullmatch(arn) else ""
            self._found[arn] = Identity(arn, _kind(arn), arn, account, location)
        return arn

    def address_of(self, name: str) -> str:
        """Returns the address of the identity with an ARN or a name; the name itself for an unknown one."""
        parts = ARN.fullmatch(name)
        if parts is None or not parts["path"]:
            return name
        key = (parts["kind"], parts["account"], parts["path"].rpartition("/")[2])
        return self._by_name.get(key, name)

    def _document(self, one: Resource, *path: str | int) -> RawDocument:
        source, scope = self._templates[one.stack]
        content: Any = source.resources[one.logical_id]
        for step in path:
            content = as_list(content)[step] if isinstance(step, int) else as_mapping(content).get(step)
        return RawDocument(source, scope, one.logical_id, path, content, one.when)

    def _read_identity(self, one: Resource) -> None:
        policies = self._policies[one.address]
        if "AssumeRolePolicyDocument" in one.properties:
            document = self._document(one, "Properties", "AssumeRolePolicyDocument")
            policies.trust = self._reader.read(document, PolicyUse.TRUST, one.address)
        for index, entry in enumerate(as_list(self._document(one, "Properties", "Policies").content)):
            if "Fn::If" in as_mapping(entry):
                self._read_choice(one, index, entry)
            elif "PolicyDocument" in as_mapping(entry):
                document = self._document(one, "Properties", "Policies", index, "PolicyDocument")
                policies.attached.append(self._reader.read(document, PolicyUse.INLINE, one.address))
        policies.managed_arns += self._attach_managed(one.items("ManagedPolicyArns"), one.address)
        boundary = one.get("PermissionsBoundary")
        if isinstance(boundary, str):
            policies.boundary_arn = boundary
            if boundary in self._managed:
                document = self._document(self._managed[boundary], "Properties", "PolicyDocument")
                policies.boundary = self._reader.read(document, PolicyUse.BOUNDARY, one.address)

    def _read_choice(self, one: Resource, index: int, entry: object) -> None:
        """Reads an inline policy that is a branch of `Fn::If`."""
        source, scope = self._templates[one.stack]
        for when, value in scope.alternatives(entry):
            if "PolicyDocument" in as_mapping(value):
                document = RawDocument(
                    source,
                    scope,
                    one.logical_id,
                    ("Properties", "Policies", index),
                    as_mapping(value)["PolicyDocument"],
                    (*one.when, *when),
                )
                self._policies[one.address].attached.append(self._reader.read(document, PolicyUse.INLINE, one.address))

    def _attach_managed(self, arns: Iterable[object], holder: str) -> list[str]:
        """Attaches the managed policies that the templates contain. Returns the ARNs of the others."""
        others: list[str] = []
        for arn in map(str, arns):
            if arn not in self._managed:
                others.append(arn)
                continue
            document = self._document(self._managed[arn], "Properties", "PolicyDocument")
            self._policies[holder].attached.append(self._reader.read(document, PolicyUse.MANAGED, holder))
        return others

    def _read_policy(self, one: Resource) -> None:
        use = PolicyUse.MANAGED if one.type == MANAGED_POLICY else PolicyUse.INLINE
        for name_property, kind in POLICY_TYPES[one.type].items():
            for name in map(str, one.items(name_property)):
                address = self._by_name.get((kind, one.account, name))
                if address is None:
                    partition = self._templates[one.stack][1].target[0]
                    arn = f"arn:{partition}:iam::{one.account}:{kind}/{name}"
                    address = self.address_of_arn(arn, one.location)
                document = self._document(one, "Properties", "PolicyDocument")
                self._policies[address].attached.append(self._reader.read(document, use, address))

    def _read_groups(self) -> None:
        """Adds the policies of groups to their users."""
        for one in self._resources:
            if one.type == "AWS::IAM::User":
                for group in map(str, one.items("Groups")):
                    self._join(one.address, group, one.account)
            elif one.type == "AWS::IAM::UserToGroupAddition":
                for user in map(str, one.items("Users")):
                    if address := self._by_name.get(("user", one.account, user)):
                        self._join(address, str(one.get("GroupName")), one.account)

    def _join(self, user: str, group: str, account: str) -> None:
        if address := self._by_name.get(("group", account, group)):
            self._policies[user].attached += self._policies[address].attached
            self._policies[user].managed_arns += self._policies[address].managed_arns


def _kind(name: str) -> IdentityKind:
    if name == "*":
        return IdentityKind.EVERYONE
    parts = ARN.fullmatch(name)
    if ACCOUNT_ID.fullmatch(name) or (parts and parts["kind"] == "root"):
        return IdentityKind.ACCOUNT
    if parts:
        return IdentityKind.PROVIDER if parts["kind"].endswith("provider") else IdentityKind.EXTERNAL
    if name.endswith((".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu")) and "/" not in name:
        return IdentityKind.SERVICE
    return IdentityKind.EXTERNAL if name.startswith(("arn:", "⟨")) else IdentityKind.PROVIDER
