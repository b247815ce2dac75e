"""Paths and files inside a sandbox. The paths are those of the service, as its responses show them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USR = Path("/usr")

WORKING_DIRECTORY = "/opt/amazon/genesis1p-tools/var"
VIRTUAL_ENVIRONMENT = "/opt/amazon/genesis1p-tools/venv"
SESSION_ENVIRONMENT = "/opt/amazon/genesis1p-tools/session"
"""The virtual environment of a session, into which pip installs. It is empty at first. Its Python also imports the
libraries of the shared, read-only environment; packages of the session have precedence."""
DISK_MOUNTS = {"work/var": WORKING_DIRECTORY, "work/session": SESSION_ENVIRONMENT}
"""Mount points on the session's disk, by directory on that disk."""
BASE_PYTHON = "/opt/python"
GUEST_PACKAGE = "/opt/local-agentcore/guest"
CHART_CACHE = "/tmp/matplotlib"  # noqa: S108  in the sandbox
CHART_CACHE_SOURCE = f"{VIRTUAL_ENVIRONMENT}/share/matplotlib-cache"
SANDBOX_UID = 1000
OVERFLOW_USER, OVERFLOW_UID = "nobody", 65534
"""The user that owns files of users without a mapping."""
HOST_NAME = "localhost"

INITIAL_DIRECTORIES = [".ipython", "log", "node_modules", "nodejs-js-execution", "nodejs-ts-execution", "run"]
INITIAL_FILES = {
    "package.json": '{\n  "name": "code-interpreter",\n  "private": true,\n  "dependencies": {}\n}\n',
    "package-lock.json": '{\n  "name": "code-interpreter",\n  "lockfileVersion": 3,\n  "packages": {}\n}\n',
}

HOST_ETC_ENTRIES = ["alternatives", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ssl/certs"]
"""Entries of the host's /etc that programs in /usr need and that contain nothing about the host."""
SHOWN_BELOW_USR = {
    "": ["bin", "include", "lib", "lib32", "lib64", "libexec", "libx32", "local", "sbin", "share"],
    "local": ["bin", "include", "lib", "lib32", "lib64", "libexec", "sbin", "share"],
}
"""Entries of the host's /usr and /usr/local that are visible. Others, such as /usr/local/etc and /usr/src, contain
configuration and sources of the host."""
SHOWN_IN_PROC = (
    *("cgroups", "cpuinfo", "filesystems", "loadavg", "meminfo", "mounts", "net", "self", "stat", "swaps", "sys"),
    *("sysvipc", "thread-self", "uptime", "version", "vmstat"),
)
"""Entries of /proc, besides processes, that are visible, because libraries read them or they belong to a namespace.
Others show the host's boot parameters, devices, keys, modules or pressure (which can be written) to every user."""
OTHERS_PERMISSIONS = 0o007


def is_shown_below_usr(path: Path) -> bool:
    """Returns whether a path of the host is visible at the same path in a sandbox."""
    return path.is_relative_to(USR) and all(
        path == USR / directory or path.relative_to(USR / directory).parts[0] in names
        for directory, names in SHOWN_BELOW_USR.items()
        if path.is_relative_to(USR / directory)
    )


def masked_in_proc(proc: Path = Path("/proc")) -> Iterator[Path]:
    """Yields the entries of /proc that have to be covered. Those that only root may access need no cover.

    Args:
        proc: The host's /proc. The entries depend on the kernel, which host and sandbox share.
    """
    for entry in sorted(entry for entry in proc.iterdir() if not entry.name.isdigit()):
        if entry.name not in SHOWN_IN_PROC and entry.lstat().st_mode & OTHERS_PERMISSIONS:
            yield entry


def etc_files(hosts: Mapping[str, str], name_server: str | None = None) -> dict[str, str]:
    """Returns the contents of a sandbox's files in /etc, by file name.

    Args:
        hosts: Further addresses by host name.
        name_server: Address of the DNS server, or None for no DNS.
    """
    addresses = {"localhost": "127.0.0.1", **hosts}
    return {
        "passwd": (
            f"root:x:0:0:root:/root:/bin/sh\n"
            f"genesis1ptools:x:{SANDBOX_UID}:{SANDBOX_UID}::{WORKING_DIRECTORY}:/bin/sh\n"
            f"{OVERFLOW_USER}:x:{OVERFLOW_UID}:{OVERFLOW_UID}:{OVERFLOW_USER}:/nonexistent:/usr/sbin/nologin\n"
        ),
        "group": f"root:x:0:\ngenesis1ptools:x:{SANDBOX_UID}:\nnogroup:x:{OVERFLOW_UID}:\n",
        "hosts": "".join(f"{address} {name}\n" for name, address in addresses.items()),
        "nsswitch.conf": f"passwd: files\ngroup: files\nhosts: files{' dns' if name_server else ''}\n",
        "resolv.conf": f"nameserver {name_server}\n" if name_server else "",
    }


def environment(base_prefix: str) -> dict[str, str]:
    """Returns all environment variables of a sandbox. None are inherited from the host.

    Args:
        base_prefix: Path of the base Python in the sandbox, `/opt/python` or a path below `/usr`.
    """
    variables = {
        "PATH": f"{SESSION_ENVIRONMENT}/bin:{VIRTUAL_ENVIRONMENT}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": WORKING_DIRECTORY,
        "USER": "genesis1ptools",
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "PAGER": "cat",  # as in a notebook: on the terminal of a command, another pager waits for a key
        "GIT_PAGER": "cat",
        "TZ": "UTC",
        "TMPDIR": "/tmp",  # noqa: S108  in the sandbox
        "IPYTHONDIR": f"{WORKING_DIRECTORY}/.ipython",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": CHART_CACHE,
        "XDG_CACHE_HOME": "/tmp/.cache",  # noqa: S108  caches must not appear in file listings
        "PYTHONDONTWRITEBYTECODE": "1",  # importing a module must not create __pycache__ in file listings
        "VIRTUAL_ENV": SESSION_ENVIRONMENT,
        "DENO_DIR": "/tmp/.deno",  # noqa: S108  caches
        "DENO_NO_PROMPT": "1",
        "DENO_NO_UPDATE_CHECK": "1",
        "NPM_CONFIG_CACHE": "/tmp/.npm",  # noqa: S108  caches
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "NODE_REPL_HISTORY": "",
    }
    if base_prefix == BASE_PYTHON:
        variables["LD_LIBRARY_PATH"] = f"{BASE_PYTHON}/lib"  # for a Python that is built with a shared library
    return variables
