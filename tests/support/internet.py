"""A simulated internet: a network namespace with public addresses, connected to the host. Only root can create it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox_host import User, running_host

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.sandbox_host import Host

SIMULATED_INTERNET = Path(__file__).parent / "simulated_internet"


@dataclass(frozen=True)
class Internet:
    """Addresses of the simulated internet.

    Attributes:
        address: a public IPv4 address of its servers.
        private_address: an address of its servers in a private network.
        address6: an IPv6 address of its servers.
        host_address: the host's address in that network.
        link: the host's network interface to it.
        resolv_conf: a file that names its name server.
    """

    address: str
    private_address: str
    address6: str
    host_address: str
    link: str
    resolv_conf: Path


def run_ip(*arguments: str) -> None:
    """Runs the `ip` command."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def simulated_internet(directory: Path) -> Generator[Internet]:
    """Creates the network namespace and starts its servers.

    Args:
        directory: where resolv.conf is written.
    """
    name, number = f"internet{os.getpid()}", os.getpid() % 63 * 4
    near, far = f"near{os.getpid() % 100000}", f"far{os.getpid() % 100000}"
    public = [f"198.51.100.{number + end}" for end in (1, 2)]
    private = [f"172.31.255.{number + end}" for end in (1, 2)]
    ipv6 = [f"2001:db8:{number:x}::{end}" for end in (1, 2)]
    run_ip("netns", "add", name)
    try:
        run_ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        for netns, device, end in (((), near, 0), (("-n", name), far, 1)):
            for address, length in ((public[end], "30"), (private[end], "30"), (ipv6[end], "64")):
                no_dad = ["nodad"] if ":" in address else []
                run_ip(*netns, "addr", "add", f"{address}/{length}", "dev", device, *no_dad)
            run_ip(*netns, "link", "set", device, "up")
        run_ip("-n", name, "link", "set", "lo", "up")
        command = ["ip", "netns", "exec", name, sys.executable, str(SIMULATED_INTERNET / "server.py"), public[1]]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            resolv_conf = directory / "resolv.conf"
            resolv_conf.write_text(f"nameserver {public[1]}\n")
            yield Internet(public[1], private[1], ipv6[1], public[0], near, resolv_conf)
            server.terminate()
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):  # not created yet
            run_ip("link", "del", near)  # deleting only the namespace would remove the link with a delay
        run_ip("netns", "del", name)


@contextlib.contextmanager
def public_emulator(internet: Internet, runtime: Path) -> Generator[Host]:
    """Runs an emulator as root that resolves names by the simulated internet's name server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(SIMULATED_INTERNET))
        patch.setenv("SIMULATED_RESOLV_CONF", str(internet.resolv_conf))
        with running_host(User("root"), runtime, "--pool", "0") as host:
            yield host
