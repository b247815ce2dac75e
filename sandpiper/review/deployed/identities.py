"""Reads the roles, users and groups of the account with their policies, in the form of CloudFormation resources.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandpiper.plan.resource_types import ROLE
from sandpiper.review.building.types import GROUP, MANAGED_POLICY, USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.review.deployed.reading import AccountReader

ACTION = "iam:GetAccountAuthorizationDetails"
Details = dict[str, Any]


@dataclass(frozen=True)
class _Form:
    """The names of the fields of one kind of identity."""

    details: str
    type: str
    name: str
    inline: str


_FORMS = (
    _Form("RoleDetailList", ROLE, "RoleName", "RolePolicyList"),
    _Form("UserDetailList", USER, "UserName", "UserPolicyList"),
    _Form("GroupDetailList", GROUP, "GroupName", "GroupPolicyList"),
)


@dataclass(frozen=True, eq=False)
class AccountIdentity:
    """A role, user or group of the account.

    Attributes:
        arn: The ARN, which is also its address in the model.
        type: The CloudFormation type.
        properties: Its properties. `Policies` has its inline policies only.
        managed: The documents of its managed policies by ARN; None for a document that is not known.
        groups: The names of the groups of a user.
    """

    arn: str
    type: str
    properties: Mapping[str, Any]
    managed: Mapping[str, Details | None]
    groups: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name without its path."""
        return self.arn.rpartition("/")[2]

    def resource(self) -> dict[str, Any]:
        """Returns the identity as a resource of a template, with its managed policies as inline policies."""
        known = [{"PolicyName": arn, "PolicyDocument": one} for arn, one in self.managed.items() if one is not None]
        properties = {
            **self.properties,
            "Policies": [*self.properties["Policies"], *known],
            "ManagedPolicyArns": [arn for arn, document in self.managed.items() if document is None],
        }
        return {"Type": self.type, "Properties": properties}


@dataclass(frozen=True)
class AccountIdentities:
    """The identities of the account.

    Attributes:
        by_arn: The identities.
        documents: The documents of managed policies by ARN.
    """

    by_arn: Mapping[str, AccountIdentity]
    documents: Mapping[str, Details]

    def role(self, name: str) -> AccountIdentity | None:
        """Returns the role with a name, which is unique in an account; None without one."""
        return self._by_name.get((ROLE, name))

    def with_groups(self, identities: Iterable[AccountIdentity]) -> list[AccountIdentity]:
        """Returns identities, followed by the groups of the users among them."""
        chosen = list(identities)
        names = dict.fromkeys(name for one in chosen for name in one.groups)
        groups = (self._by_name.get((GROUP, name)) for name in names)
        return list(dict.fromkeys([*chosen, *filter(None, groups)]))

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], AccountIdentity]:
        return {(one.type, one.name): one for one in self.by_arn.values()}

    def boundary(self, identity: AccountIdentity) -> dict[str, Any] | None:
        """Returns the permissions boundary of an identity as a resource; None without one or without its document."""
        arn = identity.properties.get("PermissionsBoundary", "")
        document = self.documents.get(arn)
        if document is None:
            return None
        path, _, name = arn.partition(":policy")[2].rpartition("/")
        properties = {"ManagedPolicyName": name, "Path": f"{path}/", "PolicyDocument": document}
        return {"Type": MANAGED_POLICY, "Properties": properties}


def read_identities(reader: AccountReader) -> AccountIdentities | None:
    """Returns the identities of the account; None if they could not be read."""

    def pages() -> list[Details]:
        return list(reader.client("iam").get_paginator("get_account_authorization_details").paginate())

    found = reader.read("roles, users and groups of the account", ACTION, pages, [])
    if found is None:
        return None
    documents: dict[str, Details] = {
        policy["Arn"]: version["Document"]
        for page in found
        for policy in page.get("Policies", [])
        for version in policy.get("PolicyVersionList", [])
        if version["IsDefaultVersion"] and isinstance(version.get("Document"), dict)
    }
    identities = (
        _identity(form, one, documents) for page in found for form in _FORMS for one in page.get(form.details, [])
    )
    return AccountIdentities({one.arn: one for one in identities}, documents)


def _identity(form: _Form, details: Details, documents: Mapping[str, Details]) -> AccountIdentity:
    tags = [tag for tag in details.get("Tags", []) if not tag["Key"].startswith("aws:")]
    properties: dict[str, Any] = {form.name: details[form.name], "Path": details["Path"], "Tags": tags}
    if "AssumeRolePolicyDocument" in details:
        properties["AssumeRolePolicyDocument"] = details["AssumeRolePolicyDocument"]
    if boundary := details.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"):
        properties["PermissionsBoundary"] = boundary
    if details.get("GroupList"):
        properties["Groups"] = details["GroupList"]
    properties["Policies"] = details.get(form.inline, [])
    attached = [one["PolicyArn"] for one in details.get("AttachedManagedPolicies", [])]
    managed = {arn: documents.get(arn) for arn in attached}
    return AccountIdentity(details["Arn"], form.type, properties, managed, tuple(details.get("GroupList", [])))
