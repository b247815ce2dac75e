"""CloudFormation resource types that MiniStack lacks: their properties are stored, and they have no other effect.

Stacks with them can be deployed, changed and deleted. `Ref` and `Fn::GetAtt` return values as on AWS.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HEX_DIGITS = 17
"""Length of the random part of an EC2 ID."""


@dataclass(frozen=True)
class StubResource:
    """A resource type that is stored only.

    Attributes:
        id: Template of the value of `Ref`, with `{hex}` for random digits and `{name}` for the name.
        attributes: Templates of the values of `Fn::GetAtt`, with `{id}`, `{region}` and `{account}`.
        create_only: Properties whose change replaces the resource.
        name: Path of the property that holds the name, separated by dots. Empty: CloudFormation generates the name.
    """

    id: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    create_only: tuple[str, ...] = ()
    name: str = ""

    def name_in(self, properties: Mapping[str, Any]) -> str | None:
        """Returns the name in the properties of a template, or None."""
        return property_at(properties, self.name)

    def new_id(self, name: str) -> str:
        """Returns the ID of a new resource."""
        return self.id.format(name=name, hex=secrets.token_hex(HEX_DIGITS)[:HEX_DIGITS])

    def attributes_of(self, id: str, location: Mapping[str, str]) -> dict[str, str]:  # noqa: A002 - the AWS term
        """Returns the values of `Fn::GetAtt`. `location` has `account` and `region`."""
        return {name: text.format(id=id, **location) for name, text in self.attributes.items()}


def property_at(properties: Mapping[str, Any], path: str) -> str | None:
    """Returns the property at a path whose steps are separated by dots, or None."""
    value: Any = properties if path else {}
    for step in path.split("."):
        value = value.get(step) or {}
    return value or None


_ID = {"Id": "{id}"}
_RULE = ("CidrIp", "CidrIpv6", "FromPort", "GroupId", "IpProtocol", "ToPort")


def _resolver(kind: str, id_prefix: str, create_only: tuple[str, ...]) -> StubResource:
    """Returns a type of Route 53 Resolver. Its ARN contains its ID."""
    arn = f"arn:aws:route53resolver:{{region}}:{{account}}:{kind}/{{id}}"
    return StubResource(f"{id_prefix}-{{hex}}", {**_ID, "Arn": arn}, create_only)


STUB_RESOURCES: Mapping[str, StubResource] = {
    "AWS::Budgets::Budget": StubResource("{name}", _ID, ("NotificationsWithSubscribers",), name="Budget.BudgetName"),
    "AWS::Chatbot::SlackChannelConfiguration": StubResource(
        "{name}",
        {"Arn": "arn:aws:chatbot::{account}:chat-configuration/slack-channel/{id}"},
        ("ConfigurationName", "SlackWorkspaceId"),
        name="ConfigurationName",
    ),
    "AWS::EC2::FlowLog": StubResource(
        "fl-{hex}",
        _ID,
        (
            *("DeliverCrossAccountRole", "DeliverLogsPermissionArn", "DestinationOptions", "LogDestination"),
            *("LogDestinationType", "LogFormat", "LogGroupName", "MaxAggregationInterval", "ResourceId"),
            *("ResourceType", "TagFieldSpecifications", "TrafficType"),
        ),
    ),
    "AWS::EC2::SecurityGroupEgress": StubResource(
        "sgr-{hex}", _ID, (*_RULE, "DestinationPrefixListId", "DestinationSecurityGroupId")
    ),
    "AWS::EC2::SecurityGroupIngress": StubResource(
        "sgr-{hex}",
        _ID,
        (
            *_RULE,
            *("GroupName", "SourcePrefixListId", "SourceSecurityGroupId", "SourceSecurityGroupName"),
            "SourceSecurityGroupOwnerId",
        ),
    ),
    "AWS::Logs::QueryDefinition": StubResource("{hex}", {"QueryDefinitionId": "{id}"}),
    "AWS::Route53Resolver::FirewallDomainList": _resolver("firewall-domain-list", "rslvr-fdl", ("Name",)),
    "AWS::Route53Resolver::FirewallRuleGroup": _resolver("firewall-rule-group", "rslvr-frg", ("Name",)),
    "AWS::Route53Resolver::FirewallRuleGroupAssociation": _resolver(
        "firewall-rule-group-association", "rslvr-frgassoc", ("FirewallRuleGroupId", "VpcId")
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfig": _resolver(
        "resolver-query-log-config", "rqlc", ("DestinationArn", "Name", "Tags")
    ),
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation": StubResource(
        "rqlca-{hex}", _ID, ("ResolverQueryLogConfigId", "ResourceId")
    ),
}
