"""The first environment file that somebody has: short, and commented where a newcomer would ask."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.model import EMBEDDED_ACCOUNT

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS = {
    "SANDBOX": "S3 alone",
    "PUBLIC": "the internet, with a reason and a last day",
    "VPC": "a network of its own, from which nothing leads out but to S3",
}
"""What code reaches."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentScaffold:
    """What is asked for; None is not said, and makes no line. All else has its default."""

    name: str | None = None
    account: str | None = None
    region: str | None = None
    owner: str | None = None
    network: str | None = None
    """SANDBOX unless said."""
    reason: str | None = None
    expires: str | None = None
    zones: tuple[tuple[str, str], ...] = ()
    """Names of availability zones with their ids, for VPC mode."""
    s3_prefix_list: str | None = None
    """Likewise, where S3's list of the region is not known."""

    @property
    def is_embedded(self) -> bool:
        """Whether it is for the embedded AWS, where nothing has to end."""
        return self.account == EMBEDDED_ACCOUNT

    def render(self, *, schema: str | None = None) -> str:
        """The file's text, which may be no environment. `schema` is where editors find the schema from the file."""
        network = self.network or "SANDBOX"
        lines = [
            *([f"# yaml-language-server: $schema={schema}"] if schema else []),
            "# Whatever is not said here has the default that a security reviewer would choose.",
            *_line("name", self.name, " # part of every name, and the name of this file"),
            *_line("account", self.account, " # in quotes, since it is no number"),
            *_line("region", self.region),
            *_line("owner", self.owner, " # a tag of everything, for who finds it"),
            "",
            *(_zones(self) if network == "VPC" else []),
            "# By the key that requests use; the first is the default. For more than one who share nothing with each",
            "# other, `tenants:` takes their place.",
            "interpreters:",
            *_INTERPRETERS.get(network, _other)(self),
        ]
        return "\n".join(lines) + "\n"


def _line(key: str, value: str | None, comment: str = "") -> list[str]:
    return [] if value is None else [f"{key}: {_text(value)}{comment}"]


def _text(value: str) -> str:
    """As YAML writes it whatever it is: `null`, `5` and `a: b` are texts here, and no character is one YAML refuses."""
    written = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in written)


def _day(value: str) -> str:
    """As it is, since a date in quotes is none; what is no date is refused as the text that it is."""
    return value if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else _text(value)


def _zones(scaffold: EnvironmentScaffold) -> list[str]:
    return [
        "# A VPC of its own in these zones; their names differ by account: `aws ec2 describe-availability-zones`.",
        *(["availability_zones:"] if scaffold.zones else []),
        *(f"  {_text(name)}: {_text(zone)}" for name, zone in scaffold.zones),
        "network:",
        *_line("  s3_prefix_list", scaffold.s3_prefix_list),
        "",
    ]


def _sandbox(_scaffold: EnvironmentScaffold) -> list[str]:
    return ["  sandbox: # code reaches its own folder of S3, and nothing else"]


def _public(scaffold: EnvironmentScaffold) -> list[str]:
    return [
        "  web:",
        "    network: PUBLIC # code reaches the internet",
        *_line("    reason", scaffold.reason),
        *_line("    owner", scaffold.owner),
        *(
            []
            if scaffold.expires is None
            else [f"    expires: {_day(scaffold.expires)} # past it nothing is synthesised"]
        ),
    ]


def _vpc(_scaffold: EnvironmentScaffold) -> list[str]:
    return ["  inside:", "    network: VPC # code reaches what the network above lets it"]


def _other(scaffold: EnvironmentScaffold) -> list[str]:
    return ["  sandbox:", *_line("    network", scaffold.network)]


_INTERPRETERS: dict[str, Callable[[EnvironmentScaffold], list[str]]] = {
    "SANDBOX": _sandbox,
    "PUBLIC": _public,
    "VPC": _vpc,
}
