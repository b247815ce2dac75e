"""Validates the arguments of a network."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from sandpiper_constructs.tokens import is_valid
from sandpiper_contract.aws import ZONE_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_PREFIX_LIST = re.compile("pl-[0-9a-f]{8,17}")
_ENDPOINT = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_DOMAIN = re.compile(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}")


def subnets_by_zone(cidr: str, zones: Sequence[str]) -> dict[str, str]:
    """Returns the address block of each zone. Raises ValueError for an invalid range or zone."""
    try:
        addresses = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr is {cidr!r}: {error}; allowed: a range such as 10.64.0.0/20") from None
    if not addresses.is_private or not 16 <= addresses.prefixlen <= 24:
        raise ValueError(f"cidr is {cidr!r}; allowed: a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20")
    if not zones:
        raise ValueError("zones is empty; allowed: one or more zones, such as eu-west-1a")
    letters = [zone[-1:] for zone in zones]
    if not set(letters) <= set(ZONE_LETTERS) or len(set(letters)) < len(letters):
        raise ValueError(f"zones is {list(zones)!r}; allowed: different zones of one region, with a letter from a to h")
    blocks = [str(block) for block in addresses.subnets(prefixlen_diff=3)]
    return {zone: blocks[ZONE_LETTERS.index(letter)] for zone, letter in zip(zones, letters, strict=True)}


def require_valid_locations(locations: Iterable[str]) -> None:
    """Raises ValueError for a location that is neither a bucket nor a folder in one."""
    for location in locations:
        if not all(location.split("/")) or any(character in location for character in "*?$"):
            raise ValueError(
                f"buckets contains {location!r}; allowed: a bucket, or a folder such as data/rates, without * ? $"
            )


def require_valid_names(s3_prefix_list: str, endpoints: Sequence[str], domains: Sequence[str]) -> None:
    """Raises ValueError for an invalid prefix list, endpoint or DNS name, and for a repeated one."""
    for option, values, pattern, allowed in (
        ("s3_prefix_list", [s3_prefix_list], _PREFIX_LIST, "an id such as pl-6da54004"),
        ("endpoints", endpoints, _ENDPOINT, "names of endpoints such as logs, each once"),
        ("domains", domains, _DOMAIN, "names such as *.example.com in lower case, each once, and not *"),
    ):
        for value in values:
            if not is_valid(pattern, value) or list(values).count(value) > 1:
                raise ValueError(f"{option} contains {value!r}; allowed: {allowed}")
