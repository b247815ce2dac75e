"""Everything that code in an interpreter can reach through its network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.building.types import ENDPOINT
from sandpiper.review.reading.values import as_mapping, as_text
from sandpiper.review.rules.queries import mode_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

MODES = {
    "SANDBOX": (
        "Amazon S3 in every account and Region: with the credentials of the role, with credentials that the code "
        "brings, and without any through presigned URLs and public buckets",
        "DNS queries: AWS's newer pages no longer list them, but do not exclude them",
    ),
    "PUBLIC": ("every address on the internet",),
    "": ("not known: the template does not state the network mode",),
}
"""Ways out by network mode. Source: AWS's pages on resource management of code interpreters, see docs/network.md."""


def ways_out_of(model: ReviewModel, interpreter: Resource) -> Iterator[str]:
    """Yields the ways out, one phrase each."""
    mode = mode_of(interpreter)
    if mode != "VPC":
        yield from MODES.get(mode, MODES[""])
        return
    groups, subnets = ({as_text(one) for one in _vpc(interpreter, name)} for name in ("SecurityGroups", "Subnets"))
    known = {one.physical_id: one for one in model.of_type("AWS::EC2::Subnet") if one.physical_id in subnets}
    if len(known) < len(subnets) or not subnets:
        yield "not known: the templates do not contain its subnets, whose routes and endpoints decide"
    networks = {as_text(one.get("VpcId")) for one in known.values()}
    yield from _connections(model, groups)
    yield from _routes(model, set(known))
    for endpoint in model.of_type(ENDPOINT):
        if as_text(endpoint.get("VpcId")) in networks:
            service = model.readable(as_text(endpoint.get("ServiceName")))
            policy = "with a policy" if model.policies.resource_policies.get(endpoint.address) else "without a policy"
            yield f"the service {service} through the endpoint {endpoint.logical_id}, {policy}"


def _vpc(interpreter: Resource, name: str) -> list[object]:
    return interpreter.items("NetworkConfiguration", "VpcConfig", name)


def _connections(model: ReviewModel, groups: set[str]) -> Iterator[str]:
    """Yields the connections that security groups allow."""
    for group in model.of_type("AWS::EC2::SecurityGroup"):
        for rule in map(as_mapping, group.items("SecurityGroupEgress") if group.physical_id in groups else []):
            yield _connection(model, rule)
    for one in model.of_type("AWS::EC2::SecurityGroupEgress"):
        if as_text(one.get("GroupId")) in groups:
            yield _connection(model, as_mapping(dict(one.properties)))


def _connection(model: ReviewModel, rule: dict[str, object]) -> str:
    names = ("CidrIp", "CidrIpv6", "DestinationPrefixListId", "DestinationSecurityGroupId")
    destination = next(filter(None, (as_text(rule.get(name)) for name in names)), "an unknown destination")
    first, last = as_text(rule.get("FromPort")), as_text(rule.get("ToPort"))
    ports = "all ports" if not first or first == "-1" else first if first == last else f"{first}-{last}"
    if destination.startswith("pl-"):
        destination = f"addresses of the prefix list {destination}"
    return f"{model.readable(destination)} on {ports}, as its security group allows"


def _routes(model: ReviewModel, subnets: set[str]) -> Iterator[str]:
    """Yields the routes of subnets to addresses."""
    tables = {
        as_text(one.get("RouteTableId"))
        for one in model.of_type("AWS::EC2::SubnetRouteTableAssociation")
        if as_text(one.get("SubnetId")) in subnets
    }
    for route in model.of_type("AWS::EC2::Route"):
        if as_text(route.get("RouteTableId")) in tables:
            cidr = as_text(route.get("DestinationCidrBlock")) or as_text(route.get("DestinationIpv6CidrBlock"))
            yield f"addresses {model.readable(cidr)}, to which its subnets have a route"
