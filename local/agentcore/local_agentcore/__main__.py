"""The command line: `local-agentcore serve`, or `python -m local_agentcore serve`."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn, get_args

from . import guesses, libraries
from .network.named_hosts import NamedHost, require_distinct
from .network.networks import NetworkSettings
from .network.s3_gate import Upstream
from .option_types import number, read_by, text, whole_number
from .sandbox.limits import LEAST_MEMORY_BYTES, MEBIBYTE, Limits
from .sandbox.preflight import INSTALL_PROFILE, apparmor_profile
from .settings import (
    AUTHORITY_TOKEN_VARIABLE,
    DEFAULT_ACCOUNT,
    DEFAULT_PORT,
    DEFAULT_REGION,
    RUNTIME_VARIABLE,
    STEERING_TOKEN_VARIABLE,
    MemoryBy,
    Quotas,
    Settings,
    default_state,
)

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
PORT_PROBLEMS = {
    errno.EADDRINUSE: "is in use: end the program that has it, or choose another with --port",
    errno.EACCES: "is not yours to take: choose one above 1023 with --port",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong with an option, without the usage of every other one."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with one line."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    defaults, quotas = Limits(), Quotas()
    count, mebibytes, seconds = whole_number(1, 1_000_000), whole_number(1, 1_000_000), number(0.001, 10_000_000)
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
        default=Path(os.environ.get(RUNTIME_VARIABLE) or libraries.default_place()),
        metavar="DIR",
        help=f"environment that sandboxed code finds; without, that of {RUNTIME_VARIABLE} if it is set (%(default)s)",
    )
    add("--state", type=Path, default=default_state(), metavar="DIR", help="folder for working files (%(default)s)")
    account, region = text(r"\d{12}", "12 digits"), text(r"[a-z]{2,}(-[a-z]+)+-\d", "a region, as us-east-1")
    add("--account", type=account, default=DEFAULT_ACCOUNT, help="account id in ARNs (%(default)s)")
    add("--region", type=region, default=DEFAULT_REGION, help="region in ARNs (%(default)s)")
    add(
        "--authority",
        metavar="URL",
        help=f"who may do what; its token is in {AUTHORITY_TOKEN_VARIABLE}, and the one for faults, clock and live "
        f"sessions in {STEERING_TOKEN_VARIABLE} (none: all may)",
    )
    add(
        "--s3",
        type=read_by(Upstream.at),
        metavar="URL",
        help="the S3 that sandboxes reach, on loopback; without it S3 answers 503 there",
    )
    for mode in ("VPC", "PUBLIC"):
        add(
            f"--{mode.lower()}-host",
            type=read_by(NamedHost.read),
            action="append",
            default=[],
            metavar="NAME:PORT=HOST:PORT",
            help=f"a service that code of {mode} interpreters finds at NAME:PORT; may be given again",
        )
    add("--public-hosts-only", action="store_true", help="code of PUBLIC interpreters finds nothing but those")
    add("--pool", type=whole_number(0, 1000), default=1, metavar="N", help="sandboxes kept started ahead (%(default)s)")
    add("--max-sessions", type=count, default=quotas.sessions, metavar="N", help="live ones at most (%(default)s)")
    add("--max-interpreters", type=count, default=quotas.interpreters, metavar="N", help="at most (%(default)s)")
    add(
        "--calls-per-second",
        type=number(0, 1_000_000),
        default=quotas.calls_per_second,
        metavar="N",
        help="of each operation; what is over is throttled; 0 for no limit (%(default)s)",
    )
    megabytes = quotas.request_bytes / MEGABYTE
    add("--request-mb", type=number(0.001, 1000), default=megabytes, metavar="N", help="of one request (%(default)g)")
    event = quotas.event_bytes / MEBIBYTE
    add("--event-mib", type=number(0.001, 1000), default=event, metavar="N", help="of one event (%(default)g)")
    add("--cpus", type=number(0.01, 1000), default=defaults.processors, help="of one session (%(default)g)")
    memory = whole_number(LEAST_MEMORY_BYTES // MEBIBYTE, 1_000_000)
    add("--memory-mib", type=memory, default=defaults.memory_bytes // MEBIBYTE, help="of one session (%(default)s)")
    add(
        "--memory-by",
        choices=get_args(MemoryBy),
        default="auto",
        help="auto: a control group where this user may make one, else the watchdog; watchdog: as if there were none",
    )
    add("--disk-mib", type=mebibytes, default=defaults.disk_bytes // MEBIBYTE, help="of one session (%(default)s)")
    temporary = defaults.temporary_bytes // MEBIBYTE
    add(
        "--temporary-mib",
        type=mebibytes,
        default=temporary,
        help="of the temporary folder of one session (%(default)s)",
    )
    add("--output-mib", type=mebibytes, default=defaults.output_bytes // MEBIBYTE, help="of one call (%(default)s)")
    add("--call-seconds", type=seconds, default=defaults.call_seconds, help="of one call (%(default)s)")
    tasks = defaults.task_output_bytes // MEBIBYTE
    add("--task-output-mib", type=mebibytes, default=tasks, help="of one session's tasks together (%(default)s)")
    add("--task-seconds", type=seconds, default=defaults.task_seconds, help="of one task (%(default)s)")
    add("--guesses", type=Path, metavar="FILE", help="TOML or JSON: which guesses of the service are to be otherwise")
    installer = commands.add_parser(
        "install-libraries",
        help="install the Python, the packages, the Deno and the Node that sandboxed code finds",
        description="Installs a locked list of packages, each checked by its hash, from PyPI or the index that pip or "
        "uv is set to; by uv where that is installed.",
    )
    installer.add_argument("--longer", action="store_true", help="the longer list: more of the service's catalogue")
    installer.add_argument("--quiet", action="store_true", help="say nothing but why it fails")
    place = installer.add_argument("place", nargs="?", type=Path, default=libraries.default_place(), metavar="DIR")
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
    if options.command == "serve" and options.authority and not os.environ.get(AUTHORITY_TOKEN_VARIABLE):
        serve.error(f"--authority needs the token that the authority knows, in {AUTHORITY_TOKEN_VARIABLE}")
    for hosts in (options.vpc_host, options.public_host) if options.command == "serve" else ():
        try:
            require_distinct(hosts)
        except ValueError as error:
            serve.error(str(error))
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for.

    Raises:
        GuessesError: its file of guesses cannot be taken.
    """
    limits = Limits(
        processors=options.cpus,
        memory_bytes=options.memory_mib * MEBIBYTE,
        disk_bytes=options.disk_mib * MEBIBYTE,
        temporary_bytes=options.temporary_mib * MEBIBYTE,
        output_bytes=options.output_mib * MEBIBYTE,
        call_seconds=options.call_seconds,
        task_output_bytes=options.task_output_mib * MEBIBYTE,
        task_seconds=options.task_seconds,
    )
    quotas = Quotas(
        calls_per_second=options.calls_per_second,
        sessions=options.max_sessions,
        interpreters=options.max_interpreters,
        request_bytes=round(options.request_mb * MEGABYTE),
        event_bytes=round(options.event_mib * MEBIBYTE),
    )
    return Settings(
        runtime=options.runtime,
        state=options.state,
        account=options.account,
        region=options.region,
        pool=options.pool,
        memory_by=options.memory_by,
        # Taken out, so that no process which this one starts finds it.
        authority=options.authority and (options.authority, os.environ.pop(AUTHORITY_TOKEN_VARIABLE)),
        steering_token=os.environ.pop(STEERING_TOKEN_VARIABLE, None),
        network=NetworkSettings(
            options.s3, tuple(options.vpc_host), tuple(options.public_host), options.public_hosts_only
        ),
        limits=limits,
        quotas=quotas,
        guesses=guesses.Guesses() if options.guesses is None else guesses.load(options.guesses),
    )


def install_libraries(place: Path, *, longer: bool, quiet: bool) -> int:
    """Installs what sandboxed code finds, with a line on stderr a step unless quiet. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        done = libraries.install(place, libraries.LISTS["longer" if longer else "default"])
    except libraries.InstallError as error:
        print(f"The libraries were not installed: {error}", file=sys.stderr)
        return 1
    if not quiet:
        print(f"{'Installed' if done else 'Nothing to do'}: {place}")
    return 0


def _raise_descriptor_limit() -> None:
    """Takes as many descriptors as the system allows: each session needs some, and so do connections of its code."""
    if sys.platform != "win32":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(argv: list[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    options = arguments(argv)
    if options.command == "apparmor-profile":
        print(apparmor_profile(sys.executable, shutil.which("bwrap") or "/usr/bin/bwrap"), end="")
        return 0
    if options.command == "guesses":
        print(guesses.as_toml(), end="")
        return 0
    if options.command == "install-libraries":
        return install_libraries(options.place, longer=options.longer, quiet=options.quiet)
    print(BANNER, flush=True)
    try:
        settings = settings_of(options)
    except guesses.GuessesError as error:
        print(error, file=sys.stderr)
        return 2
    # After the arguments: reading the service's models takes a moment that --help need not wait for.
    from .emulator import Emulator
    from .health import describe_memory
    from .server import LOOPBACK, listen, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        listener = listen(options.port)
    except OSError as error:
        problem = PORT_PROBLEMS.get(error.errno or 0, f"cannot be listened on: {error.strerror}")
        print(f"Port {options.port} of {LOOPBACK} {problem}.", file=sys.stderr)
        return 2
    emulator = Emulator(settings)
    address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    def ready() -> None:
        if emulator.unavailable is None:
            state = f"in sandboxes; {describe_memory(emulator.groups)}"
        else:
            state = f"WITHOUT running code: {emulator.unavailable.reason}. To do: {emulator.unavailable.fix}"
        print(f"Ready on {address}, {state}", flush=True)

    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        print(f"The folder {settings.state} of --state cannot be made: {error.strerror}.", file=sys.stderr)
        return 2
    _raise_descriptor_limit()
    asyncio.run(serve(emulator, listener, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
