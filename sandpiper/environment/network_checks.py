"""What VPC mode needs: subnets with security groups, or a network of the environment's own in zones that fit."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sandpiper.environment.errors import Fault, shown
from sandpiper.environment.interpreter import VpcInterpreter
from sandpiper.environment.regions import S3_PREFIX_LISTS
from sandpiper.environment.traversal import interpreters_of
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import Place
    from sandpiper.environment.model import Environment

FEWEST_ZONES = 2
ZONE_LETTERS = "abcdefgh"
"""The network's addresses are shared out in eighths, one for each letter that a zone may have."""
_ZONES: Place = ("availability_zones",)


def _vpc_mode_has_a_vpc(environment: Environment) -> Iterator[Fault]:
    for place, interpreter in interpreters_of(environment):
        if not isinstance(interpreter, VpcInterpreter):
            continue
        given = {"subnets": bool(interpreter.subnets), "security_groups": bool(interpreter.security_groups)}
        for missing, other in (("subnets", "security_groups"), ("security_groups", "subnets")):
            if given[other] and not given[missing]:
                yield Fault(
                    place=(*place, missing),
                    problem=f"is missing beside {other}",
                    allowed="both, of one VPC, or neither",
                    remedy=f"add {missing}, or take {other} out for the environment's own network",
                    rests_on=((*place, other),),
                )
        if not any(given.values()) and environment.network is None:
            yield Fault(
                place=(*place, "subnets"),
                problem="is missing, and so is the environment's network",
                allowed="subnets and security_groups, or `network` at the top of the file",
                remedy="add `network:` at the top for a VPC of its own",
                rests_on=(("network",), (*place, "security_groups")),
            )


def _network_has_zones(environment: Environment) -> Iterator[Fault]:
    found = len(environment.availability_zones)
    if environment.network is not None and found < FEWEST_ZONES:
        has = (
            f"has {found}" if found else "is empty ({})" if _ZONES[0] in environment.model_fields_set else "is missing"
        )
        yield Fault(
            place=_ZONES,
            problem=f"{has}, and there is a network",
            allowed=f"{FEWEST_ZONES} or more, so that one may fail",
            remedy="add this account's, with their ids: `aws ec2 describe-availability-zones`",
            rests_on=(("network",),),
        )


def _zones_fit(environment: Environment) -> Iterator[Fault]:
    supported = SUPPORTED_ZONES.get(environment.region)
    seen: dict[str, str] = {}
    for name, zone in environment.availability_zones.items():
        place, rests_on = (*_ZONES, name), (("region",),)
        if name[:-1] != environment.region:
            yield Fault(
                place=place,
                problem=f"is not a zone of {environment.region}",
                allowed=f"{environment.region} and a letter",
                remedy="name a zone of the region",
                rests_on=rests_on,
            )
        elif name[-1] not in ZONE_LETTERS:
            yield Fault(
                place=place,
                problem=f"is zone {name[-1]}",
                allowed=f"zones {ZONE_LETTERS[0]} to {ZONE_LETTERS[-1]}, for which the network has addresses",
                remedy="name another zone",
            )
        elif supported is not None and zone not in supported:
            yield Fault(
                place=place,
                problem=f"is {shown(zone)}",
                allowed=f"{' | '.join(supported)}, in which AgentCore works in {environment.region}",
                remedy="name another zone",
                rests_on=rests_on,
            )
        elif zone in seen:
            yield Fault(
                place=place,
                problem=f"is {zone}, as {seen[zone]} is",
                allowed="each zone once",
                remedy="look them up: `aws ec2 describe-availability-zones`",
            )
        seen.setdefault(zone, name)


def _cidr_is_a_network(environment: Environment) -> Iterator[Fault]:
    if environment.network is None:
        return
    cidr = environment.network.cidr
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        yield Fault(
            place=("network", "cidr"),
            problem=f"is {shown(cidr)}, which is not where a network of this size begins",
            allowed="a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20",
            remedy=_aligned(cidr),
        )


def _aligned(cidr: str) -> str:
    try:
        return f"say {ipaddress.ip_network(cidr, strict=False)}"
    except ValueError:
        return "change it"


def _prefix_list_is_known(environment: Environment) -> Iterator[Fault]:
    network = environment.network
    if network is not None and network.s3_prefix_list is None and environment.region not in S3_PREFIX_LISTS:
        yield Fault(
            place=("network", "s3_prefix_list"),
            problem=f"is missing, and this version does not know it for {environment.region}",
            allowed="the id of com.amazonaws.REGION.s3, such as pl-6da54004",
            remedy="look it up: `aws ec2 describe-managed-prefix-lists`",
            rests_on=(("region",),),
        )


NETWORK_CHECKS = (_vpc_mode_has_a_vpc, _network_has_zones, _zones_fit, _cidr_is_a_network, _prefix_list_is_known)
