"""CloudFormation resource types that MiniStack lacks: their properties are stored, and they have no other effect."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

HEX_DIGITS = 17
"""Of an id that EC2 gives."""


@dataclass(frozen=True)
class StubResource:
    """A type that is recorded.

    Attributes:
        id: what `Ref` gives. `{hex}` are digits that are made up, `{name}` the name.
        attributes: what `Fn::GetAtt` gives. `{id}` is the above, `{region}` and `{account}` are the place.
        create_only: properties whose change makes another resource.
        name: where the name is in the properties, with a dot for each step. Without it CloudFormation makes one up.
    """

    id: str
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    create_only: tuple[str, ...] = ()
    name: str = ""

    def name_in(self, properties: Mapping[str, Any]) -> str | None:
        """The name that a template gives; None without one."""
        return named(properties, self.name)

    def new_id(self, name: str) -> str:
        """An id for another resource."""
        return self.id.format(name=name, hex=secrets.token_hex(HEX_DIGITS)[:HEX_DIGITS])

    def attributes_of(self, id: str, place: Mapping[str, str]) -> dict[str, str]:  # noqa: A002 - as AWS calls it
        """What `Fn::GetAtt` gives for a resource."""
        return {name: text.format(id=id, **place) for name, text in self.attributes.items()}


def named(properties: Mapping[str, Any], place: str) -> str | None:
    """What properties have at a place, with a dot for each step; None at none."""
    found: Any = properties if place else {}
    for step in place.split("."):
        found = found.get(step) or {}
    return found or None


_ID = {"Id": "{id}"}
_RULE = ("CidrIp", "CidrIpv6", "FromPort", "GroupId", "IpProtocol", "ToPort")


def _resolver(kind: str, prefix: str, create_only: tuple[str, ...]) -> StubResource:
    """A type of Route 53 Resolver, whose ARN is made of its id."""
    arn = f"arn:aws:route53resolver:{{region}}:{{account}}:{kind}/{{id}}"
    return StubResource(f"{prefix}-{{hex}}", {**_ID, "Arn": arn}, create_only)


STUB_RESOURCES: Mapping[str, StubResource] = {
    "AWS::Budgets::Budget": StubResource("{name}", _ID, ("NotificationsWithSubscribers",), name="Budget.BudgetName"),
    "AWS::CloudWatch::CompositeAlarm": StubResource(
        "{name}", {"Arn": "arn:aws:cloudwatch:{region}:{account}:alarm:{id}"}, ("AlarmName",), name="AlarmName"
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
    "AWS::Logs::Delivery": StubResource(
        "{hex}",
        {"DeliveryId": "{id}", "Arn": "arn:aws:logs:{region}:{account}:delivery:{id}"},
        ("DeliveryDestinationArn", "DeliverySourceName"),
    ),
    "AWS::Logs::DeliveryDestination": StubResource(
        "{name}",
        {"Arn": "arn:aws:logs:{region}:{account}:delivery-destination:{id}"},
        ("DeliveryDestinationType", "DestinationResourceArn", "Name", "OutputFormat"),
        name="Name",
    ),
    "AWS::Logs::DeliverySource": StubResource(
        "{name}", {"Arn": "arn:aws:logs:{region}:{account}:delivery-source:{id}"}, ("Name",), name="Name"
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
