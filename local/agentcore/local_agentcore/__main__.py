"""The command line: `local-agentcore serve`, or `python -m local_agentcore serve`."""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import sys
from typing import TYPE_CHECKING

from . import assumptions, libraries, lifetime
from .options import BANNER, arguments, settings_of
from .sandbox.preflight import apparmor_profile

if TYPE_CHECKING:
    from pathlib import Path

PORT_PROBLEMS = {
    errno.EADDRINUSE: "is in use: end the program that has it, or choose another with --port",
    errno.EACCES: "is not yours to take: choose one above 1023 with --port",
}


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
        print(assumptions.as_toml(), end="")
        return 0
    if options.command == "install-libraries":
        return install_libraries(options.place, longer=options.longer, quiet=options.quiet)
    if options.until_end_of_input:
        lifetime.end_with_input()
    print(BANNER, flush=True)
    try:
        settings = settings_of(options)
    except assumptions.AssumptionsError as error:
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
