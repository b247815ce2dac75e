"""What VPC mode needs: subnets with security groups, or a network of the environment's own in zones that fit."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.interpreter import VpcInterpreter
from sandpiper.environment.regions import S3_PREFIX_LISTS
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

MIN_ZONES = 2
ZONE_LETTERS = "abcdefgh"
"""The network's addresses are shared out in eighths, one for each letter that a zone may have."""
_ZONES: KeyPath = ("availability_zones",)


def _vpc_mode_has_a_vpc(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        if not isinstance(interpreter, VpcInterpreter):
            continue
        given = {"subnets": bool(interpreter.subnets), "security_groups": bool(interpreter.security_groups)}
        for missing, other in (("subnets", "security_groups"), ("security_groups", "subnets")):
            if given[other] and not given[missing]:
                yield ConfigIssue(
                    key_path=(*key_path, missing),
                    problem=f"is missing beside {other}",
                    allowed="both, of one VPC, or neither",
                    remedy=f"add {missing}, or take {other} out for the environment's own network",
                    depends_on=((*key_path, other),),
                )
        if not any(given.values()) and environment.network is None:
            yield ConfigIssue(
                key_path=(*key_path, "subnets"),
                problem="is missing, and so is the environment's network",
                allowed="subnets and security_groups, or `network` at the top of the file",
                remedy="add `network:` at the top for a VPC of its own",
                depends_on=(("network",), (*key_path, "security_groups")),
            )


def _network_has_zones(environment: Environment) -> Iterator[ConfigIssue]:
    found = len(environment.availability_zones)
    if environment.network is not None and found < MIN_ZONES:
        has = (
            f"has {found}" if found else "is empty ({})" if _ZONES[0] in environment.model_fields_set else "is missing"
        )
        yield ConfigIssue(
            key_path=_ZONES,
            problem=f"{has}, and there is a network",
            allowed=f"{MIN_ZONES} or more, so that one may fail",
            remedy="add this account's, with their ids: `aws ec2 describe-availability-zones`",
            depends_on=(("network",),),
        )


def _zones_fit(environment: Environment) -> Iterator[ConfigIssue]:
    supported = SUPPORTED_ZONES.get(environment.region)
    seen: dict[str, str] = {}
    for name, zone in environment.availability_zones.items():
        key_path, depends_on = (*_ZONES, name), (("region",),)
        if name[:-1] != environment.region:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is not a zone of {environment.region}",
                allowed=f"{environment.region} and a letter",
                remedy="name a zone of the region",
                depends_on=depends_on,
            )
        elif name[-1] not in ZONE_LETTERS:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is zone {name[-1]}",
                allowed=f"zones {ZONE_LETTERS[0]} to {ZONE_LETTERS[-1]}, for which the network has addresses",
                remedy="name another zone",
            )
        elif supported is not None and zone not in supported:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is {format_value(zone)}",
                allowed=f"{' | '.join(supported)}, in which AgentCore works in {environment.region}",
                remedy="name another zone",
                depends_on=depends_on,
            )
        elif zone in seen:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is {zone}, as {seen[zone]} is",
                allowed="each zone once",
                remedy="look them up: `aws ec2 describe-availability-zones`",
            )
        seen.setdefault(zone, name)


def _cidr_is_a_network(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.network is None:
        return
    cidr = environment.network.cidr
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        yield ConfigIssue(
            key_path=("network", "cidr"),
            problem=f"is {format_value(cidr)}, which is not where a network of this size begins",
            allowed="a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20",
            remedy=_aligned(cidr),
        )


def _aligned(cidr: str) -> str:
    try:
        return f"say {ipaddress.ip_network(cidr, strict=False)}"
    except ValueError:
        return "change it"


def _prefix_list_is_known(environment: Environment) -> Iterator[ConfigIssue]:
    network = environment.network
    if network is not None and network.s3_prefix_list is None and environment.region not in S3_PREFIX_LISTS:
        yield ConfigIssue(
            key_path=("network", "s3_prefix_list"),
            problem=f"is missing, and this version does not know it for {environment.region}",
            allowed="the id of com.amazonaws.REGION.s3, such as pl-6da54004",
            remedy="look it up: `aws ec2 describe-managed-prefix-lists`",
            depends_on=(("region",),),
        )


NETWORK_CHECKS = (_vpc_mode_has_a_vpc, _network_has_zones, _zones_fit, _cidr_is_a_network, _prefix_list_is_known)
