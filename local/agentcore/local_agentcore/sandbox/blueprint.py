"""The parts of a sandbox that are the same for all sandboxes of an emulator and network mode: mounts and options."""

from __future__ import annotations

import json
import py_compile
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SandboxUnavailableError
from . import layout, seccomp
from .guest.supervisor import Configuration
from .internet_access import NAME_SERVER, blocked_networks
from .launcher import EMPTY_DIRECTORY, STAGE
from .runtime import Runtime

if TYPE_CHECKING:
    from .cgroups import ControlGroups
    from .limits import Limits
    from .network_spec import NetworkSpec

GUEST_SOURCE = Path(__file__).parent / "guest"
SHELL, BASH = Path("/bin/sh"), Path("/usr/bin/bash")
"""On Amazon Linux, /bin/sh is bash. Other shells have other messages and another syntax."""
SYSTEM_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
MIN_VERSION_DISABLE_USERNS = (0, 8, 0)
START_SUPERVISOR = (
    "import sys; sys.path[0] = sys.argv[1]; from guest.supervisor import main; del sys.path[0]; main(*sys.argv[2:])"
)
"""The program of process 1. Without `-I`, so that kernels have the flags of any other Python: with it, they would
ignore PYTHONDONTWRITEBYTECODE, and their child processes would also be isolated. The sandbox sets the environment, and
the working directory, still empty, is not on the import path.
"""


@dataclass(frozen=True)
class Bubblewrap:
    """The installed bubblewrap."""

    path: str
    version: tuple[int, ...]

    @classmethod
    def find(cls) -> Bubblewrap:
        """Finds bubblewrap on PATH.

        Raises:
            SandboxUnavailableError: bubblewrap is not installed.
        """
        path = shutil.which("bwrap")
        if path is None:
            raise SandboxUnavailableError("bubblewrap is not installed", "sudo apt-get install bubblewrap")
        text = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603  bubblewrap itself
        found = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
        return cls(path, tuple(int(part) for part in found.groups()) if found else (0, 0, 0))


@dataclass(frozen=True)
class Blueprint:
    """Describes how the sandboxes of an emulator are built.

    Attributes:
        directory: Directory of the small files that all sandboxes share.
        runtime: The Python of sandboxed code.
        limits: Resource limits.
        bubblewrap: The installed bubblewrap.
        groups: The parents of control groups. A watchdog limits memory if they do not.
        network: The network of the sandboxes.
        filter_program: The system-call filter.
    """

    directory: Path
    runtime: Runtime
    limits: Limits
    bubblewrap: Bubblewrap
    groups: ControlGroups
    network: NetworkSpec
    filter_program: bytes

    @classmethod
    def create(
        cls, directory: Path, runtime: Path, limits: Limits, groups: ControlGroups, network: NetworkSpec
    ) -> Blueprint:
        """Finds the required programs and writes the files that all sandboxes share into `directory`.

        Raises:
            SandboxUnavailableError: A required program or library is not installed.
        """
        bubblewrap, python = Bubblewrap.find(), Runtime.load(runtime)
        filter_program = seccomp.program(memory_is_counted=groups.counts_memory)
        etc = directory / "etc"
        etc.mkdir(parents=True)
        for name, text in layout.etc_files(network.hosts, NAME_SERVER if network.internet else None).items():
            (etc / name).write_text(text)
        (directory / "pyvenv.cfg").write_text(python.guest_pyvenv_cfg())
        (directory / "libraries.pth").write_text(python.guest_libraries_pth())
        (directory / "empty").touch()
        guest = directory / "guest"
        guest.mkdir()
        for module in GUEST_SOURCE.glob("*.py"):
            copy = guest / module.name
            copy.write_bytes(module.read_bytes())
            # Bytecode contains the path of its source: here the path in the sandbox, not that on the host.
            py_compile.compile(str(copy), dfile=f"{layout.GUEST_PACKAGE}/{module.name}")
        for path in directory.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # another user reads them, regardless of this process's umask
        return cls(directory, python, limits, bubblewrap, groups, network, filter_program)

    def plan(self, *, uid: int | None, procs_files: list[Path], channel: int, filter_descriptor: int) -> dict[str, Any]:
        """Returns the launcher's plan for one sandbox, as JSON values."""
        sources = self._mounts()
        writable = {
            name: {"bytes": size, "files": self.limits.files} for name, size in self.limits.file_systems().items()
        }
        return {
            "uid": uid,
            "control_groups": [str(file) for file in procs_files],
            "sources": [str(source) for source, _ in sources],
            "writable": writable,
            "directories": list(layout.DISK_MOUNTS),
            "listeners": self.network.listeners,
            "internet": self.network.internet,
            "blocked_networks": blocked_networks() if self.network.internet else [],
            "channel": channel,
            "bwrap": self.bubblewrap.path,
            "options": self._options([target for _, target in sources], filter_descriptor),
            "command": [
                self.runtime.guest_python,
                "-c",
                START_SUPERVISOR,
                str(Path(layout.GUEST_PACKAGE).parent),
                str(channel),
            ],
            "configuration": json.dumps(asdict(self._configuration())),
        }

    def _mounts(self) -> list[tuple[Path, str]]:
        """Returns the read-only mounts that are staged: path on the host and path in the sandbox."""
        mounts = [
            (self.runtime.directory, layout.VIRTUAL_ENVIRONMENT),
            (self.directory / "pyvenv.cfg", f"{layout.VIRTUAL_ENVIRONMENT}/pyvenv.cfg"),
            (self.directory / "pyvenv.cfg", f"{layout.SESSION_ENVIRONMENT}/pyvenv.cfg"),
            (
                self.directory / "libraries.pth",
                f"{layout.SESSION_ENVIRONMENT}/{self.runtime.site_packages}/libraries.pth",
            ),
            (self.directory / "guest", layout.GUEST_PACKAGE),
            *((self.directory / "etc" / name, f"/etc/{name}") for name in layout.etc_files({})),
            *((Path("/etc", name), f"/etc/{name}") for name in layout.HOST_ETC_ENTRIES if Path("/etc", name).exists()),
        ]
        # Staged once, and mounted over each masked file.
        mounts.append((self.directory / "empty", layout.MASKED_FILES[0]))
        return [*mounts, (self.runtime.base, layout.BASE_PYTHON)] if self.runtime.needs_base else mounts

    def _options(self, targets: list[str], filter_descriptor: int) -> list[str]:
        """Returns bubblewrap's options. The network namespace is that of the launcher."""
        flags = "--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --as-pid-1 --new-session"
        options = flags.split()
        if self.bubblewrap.version >= MIN_VERSION_DISABLE_USERNS:
            options += ["--disable-userns"]  # in addition to the system-call filter
        options += ["--cap-drop", "ALL", "--hostname", layout.HOST_NAME]
        options += ["--uid", str(layout.SANDBOX_UID), "--gid", str(layout.SANDBOX_UID)]
        options += ["--ro-bind", "/usr", "/usr"]
        for name in SYSTEM_DIRECTORIES:
            directory = Path("/", name)
            if directory.is_symlink():
                options += ["--symlink", str(directory.readlink()), str(directory)]
            elif directory.is_dir():
                options += ["--ro-bind", str(directory), str(directory)]
        if BASH.exists() and not SHELL.samefile(BASH):
            options += ["--ro-bind", str(BASH), str(SHELL.resolve())]
        options += ["--proc", "/proc", "--dev", "/dev"]
        for name, target in {**layout.DISK_MOUNTS, "tmp": "/tmp", "shm": "/dev/shm"}.items():  # noqa: S108  in the sandbox
            options += ["--bind", f"{STAGE}/{name}", target]
        for path, source in self.runtime.guest_links.items():
            options += ["--symlink", source, f"{layout.SESSION_ENVIRONMENT}/{path}"]
        for index, target in enumerate(targets):
            options += ["--ro-bind", f"{STAGE}/{index}", target]
        empty = f"{STAGE}/{targets.index(layout.MASKED_FILES[0])}"
        for source, masked in ((empty, layout.MASKED_FILES[1:]), (EMPTY_DIRECTORY, layout.MASKED_DIRECTORIES)):
            for target in masked:
                if Path(target).exists():  # depends on the kernel, which host and sandbox share
                    options += ["--ro-bind", source, target]
        if not self.groups.counts_memory:
            # Neither rlimits nor file systems nor the watchdog count a shared mapping of /dev/zero. /dev/full also
            # reads as zeros and cannot be mapped, but writing to it fails.
            options += ["--dev-bind", "/dev/full", "/dev/zero"]
        options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", layout.WORKING_DIRECTORY]
        for name, value in {**layout.environment(self.runtime.guest_base), **self.network.environment}.items():
            options += ["--setenv", name, value]
        return [*options, "--seccomp", str(filter_descriptor)]

    def _configuration(self) -> Configuration:
        return Configuration(
            working_directory=layout.WORKING_DIRECTORY,
            directories=layout.INITIAL_DIRECTORIES,
            files=layout.INITIAL_FILES,
            chart_cache=(layout.CHART_CACHE_SOURCE, layout.CHART_CACHE),
            resource_limits=self.limits.resource_limits(memory_in_cgroup=self.groups.counts_memory),
            output_bytes=self.limits.output_bytes,
            task_output_bytes=self.limits.task_output_bytes,
            grace_seconds=self.limits.grace_seconds,
            read_bytes=self.limits.read_bytes,
        )
