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
    errno.EADDRINUSE: "is in use: stop the program that uses it, or choose another port with --port",
    errno.EACCES: "requires privileges: choose a port above 1023 with --port",
}


def install_libraries(directory: Path, *, longer: bool, quiet: bool) -> int:
    """Installs the libraries of sandboxed code and logs each step to stderr unless quiet. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING if quiet else logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        changed = libraries.install(directory, libraries.LISTS["longer" if longer else "default"])
    except libraries.InstallError as error:
        print(f"The libraries were not installed: {error}", file=sys.stderr)
        return 1
    if not quiet:
        print(f"{'Installed' if changed else 'Nothing to do'}: {directory}")
    return 0


def _raise_descriptor_limit() -> None:
    """Raises the soft limit of open files to the hard limit: sessions and their connections need descriptors."""
    if sys.platform != "win32":
        import resource

        _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))


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
        return install_libraries(options.directory, longer=options.longer, quiet=options.quiet)
    if options.until_end_of_input:
        lifetime.end_with_input()
    print(BANNER, flush=True)
    try:
        settings = settings_of(options)
    except assumptions.AssumptionsError as error:
        print(error, file=sys.stderr)
        return 2
    # Imported after parsing the arguments: loading the service models would delay --help.
    from .emulator import Emulator
    from .health import describe_memory
    from .server import LOOPBACK, listen, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        listener = listen(options.port)
    except OSError as error:
        problem = PORT_PROBLEMS.get(error.errno or 0, f"cannot be opened: {error.strerror}")
        print(f"Port {options.port} of {LOOPBACK} {problem}.", file=sys.stderr)
        return 2
    emulator = Emulator(settings)
    address = f"http://{LOOPBACK}:{listener.getsockname()[1]}"

    def ready() -> None:
        if emulator.unavailable is None:
            state = f"in sandboxes; {describe_memory(emulator.groups)}"
        else:
            state = f"WITHOUT running code: {emulator.unavailable.reason}. Remedy: {emulator.unavailable.fix}"
        print(f"Ready on {address}, {state}", flush=True)

    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        print(f"The folder {settings.state} of --state cannot be created: {error.strerror}.", file=sys.stderr)
        return 2
    _raise_descriptor_limit()
    asyncio.run(serve(emulator, listener, ready))
    return 0


if __name__ == "__main__":
    sys.exit(main())
