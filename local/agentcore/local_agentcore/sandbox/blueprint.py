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
from .internet_access import NAME_SERVER, SLIRP_UNUSED_NETWORKS, blocked_networks
from .launcher import DEVICE_NUMBERS, DEVICES, EMPTY_DIRECTORY, EMPTY_FILE, STAGE
from .runtime import Runtime
from .system_directories import Source, root_links, system_directories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cgroups import ControlGroups
    from .limits import Limits
    from .network_spec import NetworkSpec

GUEST_SOURCE, LAUNCHER = Path(__file__).parent / "guest", Path(__file__).parent / "launcher.py"
SHELL, BASH = Path("/bin/sh"), Path("/usr/bin/bash")
"""On Amazon Linux, /bin/sh is bash. Other shells have other messages and another syntax."""
PYVENV_CFG, LIBRARIES_PTH = FILES = ("pyvenv.cfg", "libraries.pth")
"""Files that are mounted into directories which bubblewrap mounts."""
MIN_VERSION_DISABLE_USERNS = (0, 8, 0)
START_SUPERVISOR = (
    "import gc, sys; gc.disable(); sys.path[0] = sys.argv[1]; from guest.supervisor import main; del sys.path[0]; "
    "main(*sys.argv[2:])"
)
"""The program of process 1. Without `-I`, so that kernels have the flags of any other Python: with it, they would
ignore PYTHONDONTWRITEBYTECODE, and their child processes would also be isolated. The sandbox sets the environment, and
the working directory, still empty, is not on the import path. Garbage collection is off until the shell exists
(`guest.cells.make_shell`): imports leave next to no garbage, and looking for it takes a tenth of the start.
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
        launcher: The compiled launcher, so that no start compiles it.
    """

    directory: Path
    runtime: Runtime
    limits: Limits
    bubblewrap: Bubblewrap
    groups: ControlGroups
    network: NetworkSpec
    filter_program: bytes
    launcher: Path

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
        (directory / PYVENV_CFG).write_text(python.guest_pyvenv_cfg())
        (directory / LIBRARIES_PTH).write_text(python.guest_libraries_pth())
        guest = directory / "guest"
        guest.mkdir()
        for module in GUEST_SOURCE.glob("*.py"):
            copy = guest / module.name
            copy.write_bytes(module.read_bytes())
            # Bytecode contains the path of its source: here the path in the sandbox, not that on the host.
            py_compile.compile(str(copy), dfile=f"{layout.GUEST_PACKAGE}/{module.name}")
        launcher = directory / "launcher.pyc"
        py_compile.compile(str(LAUNCHER), str(launcher))
        for path in directory.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # another user reads them, regardless of this process's umask
        return cls(directory, python, limits, bubblewrap, groups, network, filter_program, launcher)

    def plan(self, *, uid: int | None, procs_files: list[Path], channel: int, filter_descriptor: int) -> dict[str, Any]:
        """Returns the launcher's plan for one sandbox, as JSON values."""
        sources = self._sources()
        writable = {
            name: {"bytes": size, "files": self.limits.files} for name, size in self.limits.file_systems().items()
        }
        return {
            "uid": uid,
            "control_groups": [str(file) for file in procs_files],
            "sources": [asdict(source) for source in sources],
            "devices": self._devices(),
            "terminals": self.limits.terminals,
            "writable": writable,
            "directories": list(layout.DISK_MOUNTS),
            "mount_points": [target.lstrip("/") for target in layout.DISK_MOUNTS.values()],
            "listeners": self.network.listeners,
            "internet": self.network.internet,
            "blocked_networks": [*blocked_networks(), *SLIRP_UNUSED_NETWORKS] if self.network.internet else [],
            "channel": channel,
            "bwrap": self.bubblewrap.path,
            "options": self._options(sources, filter_descriptor),
            "command": [
                self.runtime.guest_python,
                "-c",
                START_SUPERVISOR,
                str(Path(layout.GUEST_PACKAGE).parent),
                str(channel),
            ],
            "configuration": json.dumps(asdict(self._configuration())),
        }

    def _sources(self) -> list[Source]:
        """Returns what is staged for all sandboxes, read-only. Names are paths in the sandbox, except of FILES."""
        host_etc = (Path("/etc", name) for name in layout.HOST_ETC_ENTRIES)
        paths = {
            **{name: self.directory / name for name in FILES},
            layout.VIRTUAL_ENVIRONMENT: self.runtime.directory,
            layout.GUEST_PACKAGE: self.directory / "guest",
            **{f"/etc/{name}": self.directory / "etc" / name for name in layout.etc_files({})},
            **{str(path): path for path in host_etc if path.exists()},
        }
        if self.runtime.needs_base:
            paths[layout.BASE_PYTHON] = self.runtime.base
        return [*system_directories(), *(Source(str(path), name.lstrip("/")) for name, path in paths.items())]

    def _devices(self) -> dict[str, str]:
        """Returns the device by the name of its node."""
        devices = {name: name for name in DEVICE_NUMBERS}
        if not self.groups.counts_memory:
            # Neither rlimits nor file systems nor the watchdog count a shared mapping of /dev/zero. /dev/full also
            # reads as zeros and cannot be mapped, but writing to it fails.
            devices["zero"] = "full"
        return devices

    def _options(self, sources: Sequence[Source], filter_descriptor: int) -> list[str]:
        """Returns bubblewrap's options. The network namespace is that of the launcher."""
        flags = "--unshare-user --unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --as-pid-1 --new-session"
        options = flags.split()
        if self.bubblewrap.version >= MIN_VERSION_DISABLE_USERNS:
            options += ["--disable-userns"]  # in addition to the system-call filter
        options += ["--cap-drop", "ALL", "--hostname", layout.HOST_NAME]
        options += ["--uid", str(layout.SANDBOX_UID), "--gid", str(layout.SANDBOX_UID)]
        roots = {source.name.split("/")[0] for source in sources} - set(FILES)
        for name in sorted(roots):
            options += ["--ro-bind", f"{STAGE}/{name}", f"/{name}"]
        for path, target in root_links().items():
            options += ["--symlink", target, path]
        if BASH.exists() and not SHELL.samefile(BASH):
            options += ["--ro-bind", f"{STAGE}{BASH}", str(SHELL.resolve())]
        options += ["--proc", "/proc", "--dev-bind", DEVICES, "/dev"]
        for name, target in {**layout.DISK_MOUNTS, "tmp": "/tmp", "shm": "/dev/shm"}.items():  # noqa: S108  in the sandbox
            options += ["--bind", f"{STAGE}/{name}", target]
        for path, source in self.runtime.guest_links.items():
            options += ["--symlink", source, f"{layout.SESSION_ENVIRONMENT}/{path}"]
        for name, target in (
            (PYVENV_CFG, f"{layout.VIRTUAL_ENVIRONMENT}/pyvenv.cfg"),
            (PYVENV_CFG, f"{layout.SESSION_ENVIRONMENT}/pyvenv.cfg"),
            (LIBRARIES_PTH, f"{layout.SESSION_ENVIRONMENT}/{self.runtime.site_packages}/libraries.pth"),
        ):
            options += ["--ro-bind", f"{STAGE}/{name}", target]
        for path in layout.masked_in_proc():
            options += ["--ro-bind", EMPTY_DIRECTORY if path.is_dir() else EMPTY_FILE, str(path)]
        options += ["--remount-ro", "/proc", "--remount-ro", "/", "--chdir", layout.WORKING_DIRECTORY]
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
