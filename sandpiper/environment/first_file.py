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
class FirstFile:
    """What is asked for. All else has its default."""

    name: str
    account: str
    region: str
    owner: str
    network: str = "SANDBOX"
    reason: str = ""
    expires: str = ""
    zones: tuple[tuple[str, str], ...] = ()
    """Names of availability zones with their ids, for VPC mode."""

    @property
    def is_embedded(self) -> bool:
        """Whether it is for the embedded AWS, where nothing has to end."""
        return self.account == EMBEDDED_ACCOUNT

    def text(self, *, schema: str | None = None) -> str:
        """The file's text, which may be no environment. `schema` is where editors find the schema from the file."""
        about = "# Whatever is not said here has the default that a security reviewer would choose."
        lines = [
            *([f"# yaml-language-server: $schema={schema}"] if schema else []),
            about,
            f"name: {_text(self.name)} # part of every name, and the name of this file",
            f"account: {_text(self.account)} # in quotes, since it is no number",
            f"region: {_text(self.region)}",
            f"owner: {_text(self.owner)} # a tag of everything, for who finds it",
            "",
            *(_zones(self) if self.network == "VPC" else []),
            "# By the key that requests use; the first is the default. For more than one who share nothing with each",
            "# other, `tenants:` takes their place.",
            "interpreters:",
            *_INTERPRETERS.get(self.network, _other)(self),
        ]
        return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """As YAML writes it whatever it is: `null`, `5` and `a: b` are texts here."""
    return json.dumps(value, ensure_ascii=False)


def _day(value: str) -> str:
    """As it is, since a date in quotes is none; what is no date is refused as the text that it is."""
    return value if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else _text(value)


def _zones(wanted: FirstFile) -> list[str]:
    return [
        "# A VPC of its own in these zones; their names differ by account: `aws ec2 describe-availability-zones`.",
        "availability_zones:",
        *(f"  {_text(name)}: {_text(zone)}" for name, zone in wanted.zones),
        "network:",
        "",
    ]


def _sandbox(_wanted: FirstFile) -> list[str]:
    return ["  sandbox: # code reaches its own folder of S3, and nothing else"]


def _public(wanted: FirstFile) -> list[str]:
    return [
        "  web:",
        "    network: PUBLIC # code reaches the internet",
        f"    reason: {_text(wanted.reason)}",
        f"    owner: {_text(wanted.owner)}",
        *([f"    expires: {_day(wanted.expires)} # past this day nothing is synthesised"] if wanted.expires else []),
    ]


def _vpc(_wanted: FirstFile) -> list[str]:
    return ["  inside:", "    network: VPC # code reaches what the network above lets it"]


def _other(wanted: FirstFile) -> list[str]:
    return ["  sandbox:", f"    network: {_text(wanted.network)}"]


_INTERPRETERS: dict[str, Callable[[FirstFile], list[str]]] = {"SANDBOX": _sandbox, "PUBLIC": _public, "VPC": _vpc}
