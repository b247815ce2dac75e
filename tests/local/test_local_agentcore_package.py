"""The local-agentcore distribution: its wheel in an empty environment, and the installer of libraries."""

from __future__ import annotations

import errno
import hashlib
import marshal
import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore import libraries
from local_agentcore.errors import SandboxUnavailableError
from local_agentcore.process import client
from local_agentcore.sandbox.layout import SESSION_ENVIRONMENT, VIRTUAL_ENVIRONMENT
from local_agentcore.sandbox.runtime import Runtime
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.agentcore_sessions import tool_caller
from tests.support.project import PROJECT
from tests.support.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

WORKSPACE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
PARTS = [PROJECT, *(PROJECT / member for member in WORKSPACE)]
"""Folders of all distributions."""
UV = str(Path(sys.executable).parent / "uv")


@pytest.fixture(scope="module", autouse=True)
def use_the_cache_without_a_network() -> Generator[None]:
    """Makes uv install from its cache on a machine without a network, instead of failing after retries."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            socket.getaddrinfo("pypi.org", 443)
        except OSError:
            patch.setenv("UV_OFFLINE", "1")
        yield


def run(*command: str, **variables: str) -> str:
    """Runs a command, asserts that it succeeds, and returns its stdout."""
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | variables)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.parametrize(("name", "options"), [("default", []), ("longer", ["--extra", "longer"])])
def test_the_lists_match_the_lock(name: str, options: list[str]) -> None:
    where = ["--project", str(PROJECT / "local/runtimes/sandbox")]
    form = ["--quiet", "--no-dev", "--no-emit-project", "--no-header", "--no-annotate"]
    assert run(UV, "export", *where, "--frozen", *form, *options) == libraries.LISTS[name].read_text()


def test_the_longer_list_contains_the_default_list() -> None:
    pins = {name: set(re.findall(r"^\S+==\S+", path.read_text(), re.M)) for name, path in libraries.LISTS.items()}
    assert pins["default"] < pins["longer"]


def test_the_libraries_page_matches_the_lists() -> None:
    page = run(sys.executable, str(PROJECT / "tools/libraries_page.py"))
    assert page == (PROJECT / "local/agentcore/libraries.md").read_text()


@pytest.mark.parametrize(
    "module", ["awscli", "boto3", "duckdb", "matplotlib", "openpyxl", "PIL", "requests", "sklearn"]
)
def test_packages_of_examples_are_installed(agentcore_runtime: Path, module: str) -> None:
    assert list(agentcore_runtime.glob(f"lib/python3.*/site-packages/{module}/__init__.py"))


class PackageIndex:
    """A folder of packages, configured as the only package index."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        for installer in ("PIP", "UV"):
            patch.setenv(f"{installer}_FIND_LINKS", str(folder))
            patch.setenv(f"{installer}_NO_INDEX", "1")

    def requirements(self, version: str, *, valid: bool = True) -> Path:
        """Creates a package and returns a list that pins it, with a wrong hash unless `valid`."""
        name, data = wheel("tiny", version)
        (self._folder / name).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest() if valid else "0" * 64
        requirements = self._folder / f"{version}-{valid}.txt"
        requirements.write_text(f"tiny=={version} \\\n    --hash=sha256:{digest}\n")
        return requirements


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageIndex:
    """Returns an empty package index."""
    (tmp_path / "index").mkdir()
    return PackageIndex(tmp_path / "index", monkeypatch)


def printed(directory: Path) -> str:
    """Runs the package in an environment and returns its output."""
    return run(str(directory / "bin" / "python"), "-I", "-c", "import tiny; tiny.main()").strip()


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_environment_is_relocated_to_the_sandbox_path(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    if installer == "pip":

        def no_uv(_name: str, path: str) -> None:  # noqa: ARG001  the signature of shutil.which
            return None

        monkeypatch.setattr(libraries.shutil, "which", no_uv)
    directory = tmp_path / "a folder" / "environment"
    assert libraries.install(directory, package_index.requirements("1.0"))
    assert printed(directory) == "1.0"
    assert Runtime.load(directory).directory == directory
    script = directory / "bin" / "tiny"
    assert f"{SESSION_ENVIRONMENT}/bin/python" in script.read_text()
    assert os.access(script, os.X_OK)
    (bytecode,) = directory.glob("lib/python3.*/site-packages/__pycache__/tiny.*.pyc")
    expected = bytecode.parent.parent / "tiny.py"
    compiled_path = marshal.loads(bytecode.read_bytes()[16:]).co_filename  # noqa: S302  bytecode of this test
    assert compiled_path == f"{VIRTUAL_ENVIRONMENT}/{expected.relative_to(directory)}"
    with_host_path = [
        path for path in directory.rglob("*") if path.is_file() and os.fsencode(tmp_path) in path.read_bytes()
    ]
    assert with_host_path == [directory / "pyvenv.cfg"]
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in directory.rglob("*") if not path.is_symlink())


def test_an_environment_is_replaced_only_by_a_complete_one(package_index: PackageIndex, tmp_path: Path) -> None:
    directory = tmp_path / "environment"
    first = package_index.requirements("1.0")
    assert libraries.install(directory, first)
    assert not libraries.install(directory, first)
    (tmp_path / "environment.part-of-one-that-was-killed").mkdir()
    with pytest.raises(libraries.InstallError, match=r"(?i)hash"):
        libraries.install(directory, package_index.requirements("2.0", valid=False))
    assert printed(directory) == "1.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment", "environment.lock", "index"]
    assert libraries.install(directory, package_index.requirements("2.0"))
    assert printed(directory) == "2.0"


def test_the_old_environment_is_restored_when_the_move_fails(
    package_index: PackageIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, rename = tmp_path / "environment", Path.rename
    assert libraries.install(directory, package_index.requirements("1.0"))

    def fail_for_the_new_one(path: Path, target: Path) -> Path:
        if path.parent == target.parent and target == directory:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return rename(path, target)

    with monkeypatch.context() as patch, pytest.raises(libraries.InstallError, match="Input/output error"):
        patch.setattr(Path, "rename", fail_for_the_new_one)
        libraries.install(directory, package_index.requirements("2.0"))
    assert printed(directory) == "1.0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment", "environment.lock", "index"]


def test_a_failed_installation_leaves_no_environment(package_index: PackageIndex, tmp_path: Path) -> None:
    with pytest.raises(libraries.InstallError):
        libraries.install(tmp_path / "environment", package_index.requirements("1.0", valid=False))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment.lock", "index"]


@pytest.mark.parametrize("name", ["thesis.txt", "pyvenv.cfg"])
def test_a_folder_with_other_files_is_not_changed(package_index: PackageIndex, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / name).write_text("finished")
    with pytest.raises(libraries.InstallError, match="contains other files"):
        libraries.install(folder, package_index.requirements("1.0"))
    assert (folder / name).read_text() == "finished"
    with pytest.raises(SandboxUnavailableError) as raised:
        Runtime.load(folder)
    assert raised.value.fix.startswith("Create one with `local-agentcore install-libraries` and omit --runtime")


def test_installing_into_an_empty_folder_logs_each_step(
    package_index: PackageIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "empty").mkdir()
    with caplog.at_level("INFO"):
        assert libraries.install(tmp_path / "empty", package_index.requirements("1.0"))
    assert printed(tmp_path / "empty") == "1.0"
    starts = ["Creating an environment", "Downloading and installing 1 packages", "Compiling", "Moving the environment"]
    messages = [record.message for record in caplog.records if record.name == libraries.__name__]
    assert all(line.startswith(start) for line, start in zip(messages, starts, strict=True))


@pytest.mark.parametrize("part", PARTS)
def test_every_wheel_contains_the_license(part: Path, tmp_path: Path) -> None:
    run(UV, "build", "--quiet", "--offline", "--wheel", "--out-dir", str(tmp_path), str(part))
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        (name,) = (name for name in files.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        assert files.read(name) == (PROJECT / "LICENSE").read_bytes()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the console script in an environment with only the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    run(UV, "build", "--quiet", "--offline", "--wheel", "--out-dir", str(folder), str(PROJECT / "local/agentcore"))
    (wheel,) = folder.glob("*.whl")
    run(UV, "venv", "--quiet", "--python", sys.executable, str(folder / "environment"))
    run(UV, "pip", "install", "--quiet", "--python", str(folder / "environment"), str(wheel))
    return folder / "environment" / "bin" / "local-agentcore"


def served(program: Path, home: Path, check: Callable[[str], None]) -> None:
    """Runs `serve` without options and passes the line with its address to `check`."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)}
    command = [str(program), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=home) as emulator:
        try:
            assert emulator.stdout is not None
            check(next(line for line in emulator.stdout if line.startswith("Ready on ")))
        finally:
            emulator.terminate()


def test_the_installed_wheel_serves(program: Path, agentcore_runtime: Path, tmp_path: Path) -> None:
    directory = tmp_path / ".local/share/local-agentcore"
    directory.mkdir(parents=True)
    (directory / "libraries").symlink_to(agentcore_runtime)

    def check(ready: str) -> None:
        address = re.search(r"http://[0-9.:]+", ready)
        assert address is not None, ready
        data_plane: Any = client("bedrock-agentcore", address[0], "us-east-1")
        session = data_plane.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER)["sessionId"]
        result = tool_caller(data_plane, session)("executeCode", language="python", code="6 * 7")
        assert result["structuredContent"]["stdout"] == "42"

    served(program, tmp_path, check)


def test_without_libraries_the_install_command_is_printed(program: Path, tmp_path: Path) -> None:
    def check(ready: str) -> None:
        assert f"`local-agentcore install-libraries {tmp_path}/.local/share/local-agentcore/libraries`" in ready

    served(program, tmp_path, check)


def test_the_wheel_contains_the_lists_and_the_description(program: Path) -> None:
    (package,) = program.parents[1].glob("lib/python3.*/site-packages/local_agentcore")
    for path in libraries.LISTS.values():
        assert (package / "locked" / path.name).read_bytes() == path.read_bytes()
    (metadata,) = package.parent.glob("local_agentcore-*.dist-info/METADATA")
    assert "It is not a microVM" in metadata.read_text()
    assert shutil.which("local-agentcore", path=str(program.parent)) == str(program)
    assert f"Version: {run(str(program), '--version').strip()}\n" in metadata.read_text()
