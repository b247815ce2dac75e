"""Where things are inside a sandbox. The paths are the real service's own, as its answers show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WORKING_DIRECTORY = "/opt/amazon/genesis1p-tools/var"
VIRTUAL_ENVIRONMENT = "/opt/amazon/genesis1p-tools/venv"
SESSION_ENVIRONMENT = "/opt/amazon/genesis1p-tools/session"
"""The session's own environment, empty at first: its Python sees the libraries of the other one, which all share and
nobody writes, and pip installs into it. What is installed comes first."""
DISK_MOUNTS = {"work/var": WORKING_DIRECTORY, "work/session": SESSION_ENVIRONMENT}
"""What shares the session's disk, by folder there."""
BASE_PYTHON = "/opt/python"
GUEST_PACKAGE = "/opt/local-agentcore/guest"
CHART_CACHE = "/tmp/matplotlib"  # noqa: S108  the sandbox's own
CHART_CACHE_SOURCE = f"{VIRTUAL_ENVIRONMENT}/share/matplotlib-cache"
SANDBOX_UID = 1000
HOST_NAME = "localhost"

INITIAL_DIRECTORIES = [".ipython", "log", "node_modules", "nodejs-js-execution", "nodejs-ts-execution", "run"]
INITIAL_FILES = {
    "package.json": '{\n  "name": "code-interpreter",\n  "private": true,\n  "dependencies": {}\n}\n',
    "package-lock.json": '{\n  "name": "code-interpreter",\n  "lockfileVersion": 3,\n  "packages": {}\n}\n',
}

HOST_ETC_ENTRIES = ["alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/certs"]
"""What programs in /usr need of /etc and what tells nothing about the host."""
MASKED_FILES = (
    *("/proc/cmdline", "/proc/config.gz", "/proc/consoles", "/proc/diskstats", "/proc/interrupts", "/proc/iomem"),
    *("/proc/ioports", "/proc/kallsyms", "/proc/key-users", "/proc/keys", "/proc/locks", "/proc/modules"),
    *("/proc/partitions", "/proc/sched_debug"),
)
MASKED_DIRECTORIES = ("/proc/bus", "/proc/fs", "/proc/scsi")
"""What the kernel tells of the host in a sandbox's /proc as well, to everybody: how it was started, its devices, keys
and modules. What only root may read is refused anyway; the processors and the memory are what libraries ask for."""


def etc_files(hosts: Mapping[str, str], name_server: str | None = None) -> dict[str, str]:
    """Returns what is written for a sandbox in /etc, by name.

    Args:
        hosts: further addresses by name.
        name_server: who is asked for other names; None: nobody.
    """
    addresses = {"localhost": "127.0.0.1", **hosts}
    return {
        "passwd": (
            f"root:x:0:0:root:/root:/bin/sh\n"
            f"genesis1ptools:x:{SANDBOX_UID}:{SANDBOX_UID}::{WORKING_DIRECTORY}:/bin/sh\n"
            f"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        ),
        "group": f"root:x:0:\ngenesis1ptools:x:{SANDBOX_UID}:\nnogroup:x:65534:\n",
        "hosts": "".join(f"{address} {name}\n" for name, address in addresses.items()),
        "nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if name_server else ''}\n",
        "resolv.conf": f"nameserver {name_server}\n" if name_server else "",
    }


def environment(base_prefix: str) -> dict[str, str]:
    """Returns the whole environment of a sandbox. Nothing of the host's is passed on.

    Args:
        base_prefix: where the base Python is inside the sandbox: `/opt/python`, or `/usr`.
    """
    variables = {
        "PATH": f"{SESSION_ENVIRONMENT}/bin:{VIRTUAL_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": WORKING_DIRECTORY,
        "USER": "genesis1ptools",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "TZ": "UTC",
        "TMPDIR": "/tmp",  # noqa: S108  the sandbox's own
        "IPYTHONDIR": f"{WORKING_DIRECTORY}/.ipython",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": CHART_CACHE,
        "XDG_CACHE_HOME": "/tmp/.cache",  # noqa: S108  no library adds a folder to the listing
        "PYTHONDONTWRITEBYTECODE": "1",  # so that importing one's own module adds no __pycache__ to it either
        "VIRTUAL_ENV": SESSION_ENVIRONMENT,
        "DENO_DIR": "/tmp/.deno",  # noqa: S108  as above
        "DENO_NO_PROMPT": "1",
        "DENO_NO_UPDATE_CHECK": "1",
        "NPM_CONFIG_CACHE": "/tmp/.npm",  # noqa: S108  as above
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NODE_REPL_HISTORY": "",
    }
    if base_prefix == BASE_PYTHON:
        variables["LD_LIBRARY_PATH"] = f"{BASE_PYTHON}/lib"  # a Python built with a shared library finds it by this
    return variables
