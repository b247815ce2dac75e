"""The options of the command line, and the settings that those of `serve` ask for.

Options that are one number or text of the settings are rows of a table: the type, the member, the help.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from . import assumptions, libraries, lifetime
from .argparse_types import number, read_by, text, whole_number
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
    from collections.abc import Callable

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
COUNT, MEBIBYTES, SECONDS = whole_number(1, 1_000_000), whole_number(1, 1_000_000), number(0.001, 10_000_000)


@dataclass(frozen=True)
class Amount:
    """An option that is one number of the limits or quotas: `member` holds so many times `unit`."""

    option: str
    member: str
    type: Callable[[str], float]
    help: str
    unit: int = 1

    def default(self, of: Limits | Quotas) -> float:
        """Returns the option's default."""
        value = getattr(of, self.member) / self.unit
        return int(value) if value == int(value) else value

    def value(self, options: argparse.Namespace) -> float:
        """Returns what the member becomes."""
        given = getattr(options, self.option)
        return given if self.unit == 1 else round(given * self.unit)


QUOTAS = (
    Amount("max_sessions", "sessions", COUNT, "live ones at most"),
    Amount("max_interpreters", "interpreters", COUNT, "at most"),
    Amount("calls_per_second", "calls_per_second", number(0, 1_000_000),
           "of each operation; what is over is throttled; 0 for no limit"),
    Amount("request_mb", "request_bytes", number(0.001, 1000), "of one request", MEGABYTE),
    Amount("event_mib", "event_bytes", number(0.001, 1000), "of one event", MEBIBYTE),
)  # fmt: skip
LIMITS = (
    Amount("cpus", "processors", number(0.01, 1000), "of one session"),
    Amount("memory_mib", "memory_bytes", whole_number(MIN_MEMORY_BYTES // MEBIBYTE, 1_000_000), "of one session",
           MEBIBYTE),
    Amount("disk_mib", "disk_bytes", MEBIBYTES, "of one session", MEBIBYTE),
    Amount("temporary_mib", "temporary_bytes", MEBIBYTES, "of the temporary folder of one session", MEBIBYTE),
    Amount("output_mib", "output_bytes", MEBIBYTES, "of one call", MEBIBYTE),
    Amount("call_seconds", "call_seconds", SECONDS, "of one call"),
    Amount("task_output_mib", "task_output_bytes", MEBIBYTES, "of one session's tasks together", MEBIBYTE),
    Amount("task_seconds", "task_seconds", SECONDS, "of one task"),
)  # fmt: skip


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an option, without the usage of every other one."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with one line."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = Parser(prog="local-agentcore", description=BANNER)
    parser.add_argument("--version", action="version", version=version("local-agentcore"))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve both planes on loopback until SIGTERM or Ctrl-C",
        description="Serves both planes of Code Interpreter, and GET /_local/health, on 127.0.0.1.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = serve.add_argument
    add(
        "--port",
        type=whole_number(0, 65_535),
        default=DEFAULT_PORT,
        help="port on 127.0.0.1; 0 takes a free one and names it (%(default)s)",
    )
    add(
        "--runtime",
        type=Path,
        default=Path(os.environ.get(RUNTIME_VARIABLE) or libraries.default_directory()),
        metavar="DIR",
        help=f"environment that sandboxed code finds; without, that of {RUNTIME_VARIABLE} if it is set (%(default)s)",
    )
    add("--state", type=Path, default=default_state(), metavar="DIR", help="folder for working files (%(default)s)")
    account, region = text(r"\d{12}", "12 digits"), text(r"[a-z]{2,}(-[a-z]+)+-\d", "a region, as us-east-1")
    add("--account", type=account, default=DEFAULT_ACCOUNT, help="account id in ARNs (%(default)s)")
    add("--region", type=region, default=DEFAULT_REGION, help="region in ARNs (%(default)s)")
    add(
        "--authority",
        dest="authorizer",
        metavar="URL",
        help=f"who may do what; its token is in {AUTHORIZER_TOKEN_VARIABLE}, and the one for faults, clock and live "
        f"sessions in {ADMIN_TOKEN_VARIABLE} (none: all may)",
    )
    add(
        "--s3",
        type=read_by(Upstream.from_url),
        metavar="URL",
        help="the S3 that sandboxes reach, on loopback; without it S3 answers 503 there",
    )
    for mode in ("VPC", "PUBLIC"):
        add(
            f"--{mode.lower()}-host",
            type=read_by(NamedHost.parse),
            action="append",
            default=[],
            metavar="NAME:PORT=HOST:PORT",
            help=f"a service that code of {mode} interpreters finds at NAME:PORT; may be given again",
        )
    add("--public-hosts-only", action="store_true", help="code of PUBLIC interpreters finds nothing but those")
    add("--pool", type=whole_number(0, 1000), default=1, metavar="N", help="sandboxes kept started ahead (%(default)s)")
    for amounts, defaults in ((QUOTAS, Quotas()), (LIMITS, Limits())):
        for one in amounts:
            flag = f"--{one.option.replace('_', '-')}"
            add(flag, type=one.type, default=one.default(defaults), metavar="N", help=f"{one.help} (%(default)s)")
    add(
        "--memory-by",
        choices=get_args(MemoryBy),
        default="auto",
        help="auto: a control group where this user may make one, else the watchdog; watchdog: as if there were none",
    )
    add(
        "--guesses",
        dest="assumptions",
        type=Path,
        metavar="FILE",
        help="TOML or JSON: which assumptions of the service are to be otherwise",
    )
    add(lifetime.OPTION, action="store_true", help=lifetime.HELP)
    installer = commands.add_parser(
        "install-libraries",
        help="install the Python, the packages, the Deno and the Node that sandboxed code finds",
        description="Installs a locked list of packages, each checked by its hash, from PyPI or the index that pip or "
        "uv is set to; by uv where that is installed.",
    )
    installer.add_argument("--longer", action="store_true", help="the longer list: more of the service's catalogue")
    installer.add_argument("--quiet", action="store_true", help="say nothing but why it fails")
    place = installer.add_argument("place", nargs="?", type=Path, default=libraries.default_directory(), metavar="DIR")
    place.help = "where to; what this command put there is replaced, anything else refused (%(default)s)"
    commands.add_parser("guesses", help="print what is guessed of the service, as a file for serve --guesses")
    commands.add_parser(
        "apparmor-profile",
        help="print a profile for systems whose AppArmor restricts user namespaces (Ubuntu 23.10 and later)",
        description="Prints an AppArmor profile with which this Python and bubblewrap may isolate code.",
        epilog="example:\n  " + "\n  ".join(INSTALL_PROFILE.split("`")[1::2]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options = parser.parse_args(argv)
    if options.command == "serve" and options.authorizer and not os.environ.get(AUTHORIZER_TOKEN_VARIABLE):
        serve.error(f"--authority needs the token that the authorizer knows, in {AUTHORIZER_TOKEN_VARIABLE}")
    for hosts in (options.vpc_host, options.public_host) if options.command == "serve" else ():
        try:
            require_distinct(hosts)
        except ValueError as error:
            serve.error(str(error))
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    Raises:
        AssumptionsError: its file of assumptions cannot be taken.
    """
    return Settings(
        runtime=options.runtime,
        state=options.state,
        account=options.account,
        region=options.region,
        pool=options.pool,
        memory_by=options.memory_by,
        # Taken out, so that no process which this one starts finds it.
        authorizer=options.authorizer and (options.authorizer, os.environ.pop(AUTHORIZER_TOKEN_VARIABLE)),
        admin_token=os.environ.pop(ADMIN_TOKEN_VARIABLE, None),
        network=NetworkSettings(
            options.s3, tuple(options.vpc_host), tuple(options.public_host), options.public_hosts_only
        ),
        limits=Limits(**_members(LIMITS, options)),
        quotas=Quotas(**_members(QUOTAS, options)),
        assumptions=assumptions.Assumptions() if options.assumptions is None else assumptions.load(options.assumptions),
    )


def _members(amounts: tuple[Amount, ...], options: argparse.Namespace) -> dict[str, Any]:
    return {one.member: one.value(options) for one in amounts}
