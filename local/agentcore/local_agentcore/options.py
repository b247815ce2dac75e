"""The options of the command line, and the settings that they select.

Numeric options of limits and quotas are rows of a table: option, member, type, help.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from . import assumptions, libraries, lifetime
from .argparse_types import integer, matching, number, parsed_by
from .network.named_hosts import NamedHost, require_distinct
from .network.networks import NetworkSettings
from .network.s3_proxy import Upstream
from .sandbox.limits import MEBIBYTE, MIN_MEMORY_BYTES, Limits
from .sandbox.preflight import INSTALL_PROFILE
from .settings import (
    ADMIN_TOKEN_VARIABLE,
    AUTHORIZER_TOKEN_VARIABLE,
    DEFAULT_ACCOUNT,
    DEFAULT_PORT,
    DEFAULT_REGION,
    RUNTIME_VARIABLE,
    MemoryBy,
    Quotas,
    Settings,
    default_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BANNER = (
    "local-agentcore emulates Amazon Bedrock AgentCore Code Interpreter for development and tests. "
    "It is not a microVM: do not give it code that you would not run on this machine."
)
EXAMPLE = """example:
  local-agentcore install-libraries
  local-agentcore serve
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http://127.0.0.1:5200 \\
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL=http://127.0.0.1:5200 \\
  aws bedrock-agentcore-control list-code-interpreters
"""
MEGABYTE = 1_000_000
COUNT, MEBIBYTES, SECONDS = integer(1, 1_000_000), integer(1, 1_000_000), number(0.001, 10_000_000)


@dataclass(frozen=True)
class Amount:
    """A numeric option of the limits or quotas. Its value times `unit` is stored in `member`."""

    option: str
    member: str
    type: Callable[[str], float]
    help: str
    unit: int = 1

    def default(self, defaults: Limits | Quotas) -> float:
        """Returns the option's default."""
        value = getattr(defaults, self.member) / self.unit
        return int(value) if value == int(value) else value

    def value(self, options: argparse.Namespace) -> float:
        """Returns the member's value."""
        value = getattr(options, self.option)
        return value if self.unit == 1 else round(value * self.unit)


QUOTAS = (
    Amount("max_sessions", "sessions", COUNT, "maximum number of live sessions"),
    Amount("max_interpreters", "interpreters", COUNT, "maximum number of custom interpreters"),
    Amount("calls_per_second", "calls_per_second", number(0, 1_000_000),
           "calls of each operation per second; more are throttled; 0 for no limit"),
    Amount("request_mb", "request_bytes", number(0.001, 1000), "maximum size of a request in MB", MEGABYTE),
    Amount("event_mib", "event_bytes", number(0.001, 1000), "maximum size of an event in MiB", MEBIBYTE),
)  # fmt: skip
LIMITS = (
    Amount("cpus", "processors", number(0.01, 1000), "CPUs of a session"),
    Amount("memory_mib", "memory_bytes", integer(MIN_MEMORY_BYTES // MEBIBYTE, 1_000_000), "memory of a session in MiB",
           MEBIBYTE),
    Amount("disk_mib", "disk_bytes", MEBIBYTES, "disk space of a session in MiB", MEBIBYTE),
    Amount("temporary_mib", "temporary_bytes", MEBIBYTES, "size of a session's temporary folder in MiB", MEBIBYTE),
    Amount("output_mib", "output_bytes", MEBIBYTES, "maximum output of a call in MiB", MEBIBYTE),
    Amount("call_seconds", "call_seconds", SECONDS, "maximum duration of a call in seconds"),
    Amount("task_output_mib", "task_output_bytes", MEBIBYTES, "maximum output of a session's tasks in MiB", MEBIBYTE),
    Amount("task_seconds", "task_seconds", SECONDS, "maximum duration of a task in seconds"),
)  # fmt: skip
TOTALS = (
    Amount("total_memory_mib", "memory_bytes", integer(MIN_MEMORY_BYTES // MEBIBYTE, 100_000_000),
           "memory of all sessions in MiB", MEBIBYTE),
    Amount("total_disk_mib", "disk_bytes", integer(1, 100_000_000), "disk space of all sessions in MiB", MEBIBYTE),
    Amount("total_processes", "processes", integer(16, 10_000_000), "processes and threads of all sessions"),
    Amount("total_open_files", "open_files", integer(256, 100_000_000), "open files of all sessions"),
    Amount("total_terminals", "terminals", integer(2, 1_000_000), "pseudo-terminals of all sessions"),
)  # fmt: skip
"""Limits of all sessions together. Their defaults depend on the machine (`Totals.of_host`)."""


class Parser(argparse.ArgumentParser):
    """Reports an invalid option in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Prints one line to stderr and exits with 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = Parser(prog="local-agentcore", description=BANNER)
    parser.add_argument("--version", action="version", version=version("local-agentcore"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve both planes on loopback until SIGTERM or Ctrl-C",
        description="Serve both planes of Code Interpreter, and GET /_local/health, on 127.0.0.1.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = serve.add_argument
    add(
        "--port",
        type=integer(0, 65_535),
        default=DEFAULT_PORT,
        help="port on 127.0.0.1; 0 selects a free port and prints it (%(default)s)",
    )
    add(
        "--runtime",
        type=Path,
        default=Path(os.environ.get(RUNTIME_VARIABLE) or libraries.default_directory()),
        metavar="DIR",
        help=f"virtual environment of sandboxed code; default: {RUNTIME_VARIABLE}, if set (%(default)s)",
    )
    add("--state", type=Path, default=default_state(), metavar="DIR", help="folder for working files (%(default)s)")
    account, region = (
        matching(r"\d{12}", "12 digits"),
        matching(r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as us-east-1"),
    )
    add("--account", type=account, default=DEFAULT_ACCOUNT, help="account id in ARNs (%(default)s)")
    add("--region", type=region, default=DEFAULT_REGION, help="region in ARNs (%(default)s)")
    add(
        "--authority",
        dest="authorizer",
        metavar="URL",
        help=f"authorizer of all calls; its token is in {AUTHORIZER_TOKEN_VARIABLE}, and the token of the admin API in "
        f"{ADMIN_TOKEN_VARIABLE} (none: every call is allowed)",
    )
    add(
        "--s3",
        type=parsed_by(Upstream.from_url),
        metavar="URL",
        help="S3 endpoint on loopback that sandboxes reach; without it S3 responds with 503 in sandboxes",
    )
    for mode in ("VPC", "PUBLIC"):
        add(
            f"--{mode.lower()}-host",
            type=parsed_by(NamedHost.parse),
            action="append",
            default=[],
            metavar="NAME:PORT=HOST:PORT",
            help=f"service that code of {mode} interpreters reaches at NAME:PORT; repeatable",
        )
    add(
        "--public-hosts-only",
        action="store_true",
        help="code of PUBLIC interpreters reaches only the hosts of --public-host",
    )
    add("--pool", type=integer(0, 1000), default=1, metavar="N", help="number of sandboxes started ahead (%(default)s)")
    for amounts, defaults in ((QUOTAS, Quotas()), (LIMITS, Limits())):
        for amount in amounts:
            flag = f"--{amount.option.replace('_', '-')}"
            add(
                flag,
                type=amount.type,
                default=amount.default(defaults),
                metavar="N",
                help=f"{amount.help} (%(default)s)",
            )
    for amount in TOTALS:
        flag = f"--{amount.option.replace('_', '-')}"
        add(flag, type=amount.type, metavar="N", help=f"{amount.help} (those of this machine minus a reserve)")
    add(
        "--memory-by",
        choices=get_args(MemoryBy),
        default="auto",
        help="auto: a control group if this user can create one, else the watchdog; watchdog: always the watchdog",
    )
    add(
        "--guesses",
        dest="assumptions",
        type=Path,
        metavar="FILE",
        help="TOML or JSON file of assumptions about the service that override the defaults",
    )
    add(lifetime.OPTION, action="store_true", help=lifetime.HELP)
    installer = commands.add_parser(
        "install-libraries",
        help="install the Python, packages, Deno and Node of sandboxed code",
        description="Install a locked list of packages, each verified by its hash, from PyPI or the configured index "
        "of pip or uv. Uses uv if it is installed, else pip.",
    )
    installer.add_argument(
        "--longer", action="store_true", help="install the longer list, with more of the service's packages"
    )
    installer.add_argument("--quiet", action="store_true", help="print errors only")
    directory = installer.add_argument(
        "directory", nargs="?", type=Path, default=libraries.default_directory(), metavar="DIR"
    )
    directory.help = "target folder: missing, empty, or an earlier installation (%(default)s)"
    commands.add_parser("guesses", help="print the assumptions about the service as a file for serve --guesses")
    commands.add_parser(
        "apparmor-profile",
        help="print a profile for systems whose AppArmor restricts user namespaces (Ubuntu 23.10 and later)",
        description="Print an AppArmor profile that lets this Python and bubblewrap isolate code.",
        epilog="example:\n  " + "\n  ".join(INSTALL_PROFILE.split("`")[1::2]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options = parser.parse_args(argv)
    if options.command == "serve" and options.authorizer and not os.environ.get(AUTHORIZER_TOKEN_VARIABLE):
        serve.error(
            f"--authority requires the authorizer's token in the environment variable {AUTHORIZER_TOKEN_VARIABLE}"
        )
    for hosts in (options.vpc_host, options.public_host) if options.command == "serve" else ():
        try:
            require_distinct(hosts)
        except ValueError as error:
            serve.error(str(error))
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line selects.

    Raises:
        AssumptionsError: The file of assumptions is invalid.
    """
    return Settings(
        runtime=options.runtime,
        state=options.state,
        account=options.account,
        region=options.region,
        pool=options.pool,
        memory_by=options.memory_by,
        # Removed from the environment, so that no child process inherits the tokens.
        authorizer=options.authorizer and (options.authorizer, os.environ.pop(AUTHORIZER_TOKEN_VARIABLE)),
        admin_token=os.environ.pop(ADMIN_TOKEN_VARIABLE, None),
        network=NetworkSettings(
            options.s3, tuple(options.vpc_host), tuple(options.public_host), options.public_hosts_only
        ),
        limits=Limits(**_members(LIMITS, options)),
        total_limits=_members([amount for amount in TOTALS if getattr(options, amount.option)], options),
        quotas=Quotas(**_members(QUOTAS, options)),
        assumptions=assumptions.Assumptions() if options.assumptions is None else assumptions.load(options.assumptions),
    )


def _members(amounts: Sequence[Amount], options: argparse.Namespace) -> dict[str, Any]:
    return {amount.member: amount.value(options) for amount in amounts}
