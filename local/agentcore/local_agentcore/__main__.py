"""The command line: `python -m local_agentcore serve`."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import get_args

from .sandbox.limits import MEBIBYTE, Limits
from .sandbox.preflight import INSTALL_PROFILE, apparmor_profile
from .settings import AUTHORITY_TOKEN_VARIABLE, DEFAULT_ACCOUNT, DEFAULT_REGION, MemoryBy, Settings, default_state

BANNER = (
    "local-agentcore emulates Amazon Bedrock AgentCore Code Interpreter for development and tests. "
    "It is not a microVM: do not give it code that you would not run on this machine."
)
EXAMPLE = """example:
  python -m local_agentcore serve --port 5200 --runtime local/runtimes/sandbox/.venv
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE=http://127.0.0.1:5200 \\
  AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL=http://127.0.0.1:5200 \\
  aws bedrock-agentcore-control list-code-interpreters
"""
PORT_PROBLEMS = {
    errno.EADDRINUSE: "is in use: end the program that has it, or choose another with --port",
    errno.EACCES: "is not yours to take: choose one above 1023 with --port",
}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    defaults = Limits()
    parser = argparse.ArgumentParser(prog="python -m local_agentcore", description=BANNER)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser(
        "serve",
        help="serve both planes on loopback until SIGTERM or Ctrl-C",
        description="Serves both planes of Code Interpreter, and GET /_local/health, on 127.0.0.1.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = serve.add_argument
    add("--port", type=int, required=True, help="port on 127.0.0.1; 0 takes a free one and names it")
    add("--runtime", type=Path, required=True, metavar="DIR", help="virtual environment that sandboxed code finds")
    add("--state", type=Path, default=default_state(), metavar="DIR", help="folder for working files (%(default)s)")
    add("--account", default=DEFAULT_ACCOUNT, help="account id in ARNs (%(default)s)")
    add("--region", default=DEFAULT_REGION, help="region in ARNs (%(default)s)")
    add(
        "--authority",
        metavar="URL",
        help=f"who may do what; its token is in {AUTHORITY_TOKEN_VARIABLE} (none: all may)",
    )
    add("--pool", type=int, default=1, metavar="N", help="sandboxes kept started ahead (%(default)s)")
    add("--max-sessions", type=int, default=100, metavar="N", help="live sessions at most (%(default)s)")
    add("--memory-mib", type=int, default=defaults.memory_bytes // MEBIBYTE, help="of one session (%(default)s)")
    add(
        "--memory-by",
        choices=get_args(MemoryBy),
        default="auto",
        help="auto: a control group where this user may make one, else the watchdog; watchdog: as if there were none",
    )
    add("--disk-mib", type=int, default=defaults.disk_bytes // MEBIBYTE, help="of one session (%(default)s)")
    add("--output-mib", type=int, default=defaults.output_bytes // MEBIBYTE, help="of one call (%(default)s)")
    add("--call-seconds", type=float, default=defaults.call_seconds, help="of one call (%(default)s)")
    commands.add_parser(
        "apparmor-profile",
        help="print a profile for systems whose AppArmor restricts user namespaces (Ubuntu 23.10 and later)",
        description="Prints an AppArmor profile with which this Python and bubblewrap may isolate code.",
        epilog="example:\n  " + "\n  ".join(INSTALL_PROFILE.split("`")[1::2]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options = parser.parse_args(argv)
    if options.command == "serve" and options.authority and not os.environ.get(AUTHORITY_TOKEN_VARIABLE):
        parser.error(f"--authority needs the token that the authority knows, in {AUTHORITY_TOKEN_VARIABLE}")
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    """Returns the settings that a command line asks for."""
    limits = Limits(
        memory_bytes=options.memory_mib * MEBIBYTE,
        disk_bytes=options.disk_mib * MEBIBYTE,
        output_bytes=options.output_mib * MEBIBYTE,
        call_seconds=options.call_seconds,
    )
    return Settings(
        runtime=options.runtime,
        state=options.state,
        account=options.account,
        region=options.region,
        pool=options.pool,
        maximum_sessions=options.max_sessions,
        memory_by=options.memory_by,
        # Taken out, so that no process which this one starts finds it.
        authority=options.authority and (options.authority, os.environ.pop(AUTHORITY_TOKEN_VARIABLE)),
        limits=limits,
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the command line. Returns the exit code."""
    options = arguments(argv)
    if options.command == "apparmor-profile":
        print(apparmor_profile(sys.executable, shutil.which("bwrap") or "/usr/bin/bwrap"), end="")
        return 0
    print(BANNER, flush=True)
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
    emulator = Emulator(settings_of(options))
    address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    def ready() -> None:
        if emulator.unavailable is None:
            state = f"in sandboxes; {describe_memory(emulator.delegation)}"
        else:
            state = f"WITHOUT running code: {emulator.unavailable.reason}. To do: {emulator.unavailable.fix}"
        print(f"Ready on {address}, {state}", flush=True)

    asyncio.run(serve(emulator, listener, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
