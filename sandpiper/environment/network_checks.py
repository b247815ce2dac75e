"""Checks VPC mode: subnets with security groups, or the environment's network in supported availability zones."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_value
from sandpiper.environment.interpreter import VpcInterpreter
from sandpiper.environment.network import ALLOWED_CIDR, ALLOWED_PREFIX_LIST
from sandpiper.environment.regions import S3_PREFIX_LISTS
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.environment.zones import SUPPORTED_ZONES
from sandpiper_contract.aws import ZONE_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

MIN_ZONES = 2
_ZONES: KeyPath = ("availability_zones",)


def _check_vpc_mode(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        if not isinstance(interpreter, VpcInterpreter):
            continue
        is_set = {"subnets": bool(interpreter.subnets), "security_groups": bool(interpreter.security_groups)}
        for missing, other in (("subnets", "security_groups"), ("security_groups", "subnets")):
            if is_set[other] and not is_set[missing]:
                yield ConfigIssue(
                    key_path=(*key_path, missing),
                    problem=f"is missing, but {other} is set",
                    allowed="both, in the same VPC, or neither",
                    remedy=f"add {missing}, or remove {other} to use the environment's network",
                    depends_on=((*key_path, other),),
                )
        if not any(is_set.values()) and environment.network is None:
            yield ConfigIssue(
                key_path=(*key_path, "subnets"),
                problem="is missing, and the environment has no network",
                allowed="subnets and security_groups, or `network` at the top of the file",
                remedy="add `network:` at the top of the file to create a VPC",
                depends_on=(("network",), (*key_path, "security_groups")),
            )


def _check_zone_count(environment: Environment) -> Iterator[ConfigIssue]:
    count = len(environment.availability_zones)
    if environment.network is None or count >= MIN_ZONES:
        return
    if count:
        problem = f"has {count} zone"
    else:
        problem = "is empty ({})" if _ZONES[0] in environment.model_fields_set else "is missing"
    yield ConfigIssue(
        key_path=_ZONES,
        problem=f"{problem}, but network is set",
        allowed=f"{MIN_ZONES} or more zones, so that one can fail",
        remedy="add this account's zones with their ids: `aws ec2 describe-availability-zones`",
        depends_on=(("network",),),
    )


def _check_zones(environment: Environment) -> Iterator[ConfigIssue]:
    region = environment.region
    supported = SUPPORTED_ZONES.get(region)
    names: dict[str, str] = {}
    for name, zone in environment.availability_zones.items():
        key_path, depends_on = (*_ZONES, name), (("region",),)
        if name[:-1] != region:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is not a zone of {region}",
                allowed=f"{region} followed by a letter",
                remedy="name a zone of the region",
                depends_on=depends_on,
            )
        elif name[-1] not in ZONE_LETTERS:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is zone {name[-1]}",
                allowed=f"zones {ZONE_LETTERS[0]} to {ZONE_LETTERS[-1]}, for which the network reserves addresses",
                remedy="name another zone",
            )
        elif supported is not None and zone not in supported:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is {format_value(zone)}",
                allowed=f"{' | '.join(supported)}, the zones of {region} that AgentCore supports",
                remedy="name another zone",
                depends_on=depends_on,
            )
        elif zone in names:
            yield ConfigIssue(
                key_path=key_path,
                problem=f"is {zone}, the same as {names[zone]}",
                allowed="each zone once",
                remedy="look up the ids: `aws ec2 describe-availability-zones`",
            )
        names.setdefault(zone, name)


def _check_cidr(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.network is None:
        return
    cidr = environment.network.cidr
    try:
        ipaddress.ip_network(cidr)
    except ValueError:
        yield ConfigIssue(
            key_path=("network", "cidr"),
            problem=f"is {format_value(cidr)}, which is not the start of a range of this size",
            allowed=ALLOWED_CIDR,
            remedy=_cidr_remedy(cidr),
        )


def _cidr_remedy(cidr: str) -> str:
    try:
        return f"use {ipaddress.ip_network(cidr, strict=False)}"
    except ValueError:
        return "change the value"


def _check_prefix_list(environment: Environment) -> Iterator[ConfigIssue]:
    network = environment.network
    if network is not None and network.s3_prefix_list is None and environment.region not in S3_PREFIX_LISTS:
        yield ConfigIssue(
            key_path=("network", "s3_prefix_list"),
            problem=f"is missing, and this version has no default for {environment.region}",
            allowed=ALLOWED_PREFIX_LIST,
            remedy="look it up: `aws ec2 describe-managed-prefix-lists`",
            depends_on=(("region",),),
        )


NETWORK_CHECKS = (_check_vpc_mode, _check_zone_count, _check_zones, _check_cidr, _check_prefix_list)
