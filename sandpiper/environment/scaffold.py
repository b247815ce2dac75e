"""Renders the environment file that `sandpiper init` writes, with comments for newcomers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.aws import EMBEDDED_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS = {
    "SANDBOX": "S3 only, in every account",
    "PUBLIC": "the internet, with a reason and an expiry date",
    "VPC": "a new VPC without internet access, with a route to S3 only",
}
"""What code reaches in each network mode."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentScaffold:
    """The values of a new environment file. A value of None writes no line. Other options keep their defaults.

    Attributes:
        network: The network mode. None writes SANDBOX.
        zones: Names of availability zones with their ids, for VPC mode.
        s3_prefix_list: S3's prefix list for VPC mode, in a region without a built-in default.
    """

    name: str | None = None
    account: str | None = None
    region: str | None = None
    owner: str | None = None
    network: str | None = None
    reason: str | None = None
    expires: str | None = None
    zones: tuple[tuple[str, str], ...] = ()
    s3_prefix_list: str | None = None

    @property
    def is_embedded(self) -> bool:
        """Returns whether the file is for the embedded AWS, where expiry dates are optional."""
        return self.account == EMBEDDED_ACCOUNT

    def render(self, *, schema: str | None = None) -> str:
        """Returns the text of the file. Invalid values are rendered unchanged, so that `from_text` reports them.

        Args:
            schema: The path from the file to its JSON Schema, for editors.
        """
        network = self.network or "SANDBOX"
        lines = [
            *([f"# yaml-language-server: $schema={schema}"] if schema else []),
            "# Every option that is not set here has a secure default.",
            *_line("name", self.name, " # used in resource names; also the name of this file"),
            *_line("account", self.account, " # in quotes, because it is text"),
            *_line("region", self.region),
            *_line("owner", self.owner, " # a tag of every resource"),
            "",
            *(_zones(self) if network == "VPC" else []),
            "# Requests name an interpreter by its key; the first one is the default. For several isolated teams, use",
            "# `tenants:` instead.",
            "interpreters:",
            *_INTERPRETERS.get(network, _unknown_network)(self),
        ]
        return "\n".join(lines) + "\n"


def _line(key: str, value: str | None, comment: str = "") -> list[str]:
    return [] if value is None else [f"{key}: {_quoted(value)}{comment}"]


def _quoted(value: str) -> str:
    """Returns a YAML string for any text, such as `null`, `5`, `a: b` and control characters."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def _date(value: str) -> str:
    """Returns a date without quotes, which YAML reads as a date, and any other text in quotes."""
    return value if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else _quoted(value)


def _zones(scaffold: EnvironmentScaffold) -> list[str]:
    return [
        "# A new VPC in these zones. Zone names differ between accounts: `aws ec2 describe-availability-zones`.",
        *(["availability_zones:"] if scaffold.zones else []),
        *(f"  {_quoted(name)}: {_quoted(zone)}" for name, zone in scaffold.zones),
        "network:",
        *_line("  s3_prefix_list", scaffold.s3_prefix_list),
        "",
    ]


def _sandbox(_scaffold: EnvironmentScaffold) -> list[str]:
    return ["  sandbox: # code reaches its own S3 folder only"]


def _public(scaffold: EnvironmentScaffold) -> list[str]:
    expires = scaffold.expires
    return [
        "  web:",
        "    network: PUBLIC # code reaches the internet",
        *_line("    reason", scaffold.reason),
        *_line("    owner", scaffold.owner),
        *([] if expires is None else [f"    expires: {_date(expires)} # the stack cannot be deployed after this day"]),
    ]


def _vpc(_scaffold: EnvironmentScaffold) -> list[str]:
    return ["  inside:", "    network: VPC # code reaches what the network above allows"]


def _unknown_network(scaffold: EnvironmentScaffold) -> list[str]:
    return ["  sandbox:", *_line("    network", scaffold.network)]


_INTERPRETERS: dict[str, Callable[[EnvironmentScaffold], list[str]]] = {
    "SANDBOX": _sandbox,
    "PUBLIC": _public,
    "VPC": _vpc,
}
