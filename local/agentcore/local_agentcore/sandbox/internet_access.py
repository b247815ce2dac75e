"""Internet access of a sandbox: slirp4netns, a user-space network stack that joins the sandbox's namespaces.

For the host, its connections are those of an ordinary program. Therefore a filter on the tunnel drops packets to the
host and to private networks before slirp receives them, and routes reject them immediately.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from . import tunnel_filter
from .tunnel_filter import TUNNEL

if TYPE_CHECKING:
    from collections.abc import Sequence

LAUNCHER = Path(__file__).parent / "slirp_launcher.py"
NAME_SERVER = "10.0.2.3"
READY_SECONDS = 30.0
DIAGNOSIS_BYTES = 4096
NON_PUBLIC_NETWORKS = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
)  # fmt: skip
"""Private, shared, link-local, multicast and reserved networks (RFC 6890), and the address at which Azure provides
secrets to virtual machines. slirp's own network is part of 10.0.0.0/8 and has a more specific route."""
SLIRP_UNUSED_NETWORKS = (
    "10.0.2.4/30", "10.0.2.8/29", "10.0.2.16/28", "10.0.2.32/27", "10.0.2.64/26", "10.0.2.128/25",
)  # fmt: skip
"""slirp's network without its gateway (10.0.2.2) and name server. All network namespaces of the machine share one
neighbor table (`net.ipv4.neigh.default.gc_thresh3`), which packets to many neighbors would fill."""
ROUTING_TABLE = Path("/proc/net/fib_trie")
LOCAL_ADDRESS = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL")
DOCKER_OPTION = "--cap-add SYS_PTRACE"
ALTERNATIVE = (
    "or start the emulator with --public-hosts-only, so that PUBLIC reaches only the hosts named by --public-host"
)


def find_slirp() -> str:
    """Returns the path of slirp4netns.

    Raises:
        SandboxUnavailableError: slirp4netns is not installed, or this user may not open a tunnel.
    """
    path = shutil.which("slirp4netns")
    if path is None:
        reason = "PUBLIC interpreters need slirp4netns, which is not installed"
        raise SandboxUnavailableError(reason, f"sudo apt-get install slirp4netns, {ALTERNATIVE}")
    if not TUNNEL.exists():
        reason = f"PUBLIC interpreters need {TUNNEL}, which does not exist"
        raise SandboxUnavailableError(reason, f"sudo modprobe tun (for Docker: --device {TUNNEL}), {ALTERNATIVE}")
    if os.geteuid() != 0 and not os.access(TUNNEL, os.R_OK | os.W_OK):
        reason = f"PUBLIC interpreters need {TUNNEL}, which this user may not open"
        raise SandboxUnavailableError(reason, f"sudo chmod 666 {TUNNEL} (the default of most systems), {ALTERNATIVE}")
    return path


def blocked_networks() -> list[str]:
    """Returns the networks that a sandbox must not reach: non-public networks and each address of this host.

    Raises:
        SandboxUnavailableError: The addresses of this host cannot be read.
    """
    try:
        local = LOCAL_ADDRESS.findall(ROUTING_TABLE.read_text())
    except OSError as error:
        raise SandboxUnavailableError(f"the addresses of this host cannot be read ({error})", ALTERNATIVE) from error
    return [*NON_PUBLIC_NETWORKS, *dict.fromkeys(f"{address}/32" for address in local)]


class InternetAccess:
    """A running slirp4netns process. It ends with `end` or with this process."""

    def __init__(self, process: subprocess.Popen[bytes], alive: int) -> None:
        """Takes over a started process.

        Args:
            process: The process.
            alive: Descriptor of a pipe. slirp4netns exits when it is closed.
        """
        self._process, self._alive = process, alive
        self._stderr = bytearray()
        if process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)
            asyncio.get_running_loop().add_reader(process.stderr, self._read_stderr)

    @classmethod
    async def join(
        cls, user_namespace: int, network_namespace: int, uid: int | None, procs_files: Sequence[Path]
    ) -> InternetAccess:
        """Connects a network namespace to the internet and returns when the connection works.

        Args:
            user_namespace: Descriptor of the user namespace that owns the network namespace.
            network_namespace: Descriptor of the network namespace.
            uid: The user that owns both, if this process runs as root.
            procs_files: The cgroup.procs files of the control groups to join.

        Raises:
            SandboxUnavailableError: slirp4netns does not start.
        """
        path = find_slirp()
        (ready, slirp_ready), (slirp_alive, alive) = os.pipe(), os.pipe()
        descriptors = (user_namespace, network_namespace, slirp_ready, slirp_alive)
        command = [
            *(path, "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp"),
            *(f"--userns-path=/proc/self/fd/{user_namespace}", "--netns-type=path"),
            *("--ready-fd", str(slirp_ready), "--exit-fd", str(slirp_alive)),
            *(f"/proc/self/fd/{network_namespace}", "tap0"),
        ]
        plan = {"uid": uid, "control_groups": [str(file) for file in procs_files], "command": command}
        try:
            process = subprocess.Popen(  # noqa: S603  the launcher
                [sys.executable, "-I", "-S", str(LAUNCHER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={},
                cwd="/",
                pass_fds=descriptors,
                start_new_session=True,
            )
        except BaseException:
            os.close(ready)
            os.close(alive)
            raise
        finally:
            for descriptor in (slirp_ready, slirp_alive):
                os.close(descriptor)
        access = cls(process, alive)
        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # the launcher has exited; its stderr has the reason
                    process.stdin.write(json.dumps(plan).encode())
                    process.stdin.close()
            if not await _wait_until_ready(ready):
                raise SandboxUnavailableError(f"slirp4netns does not start: {access._last_error_line()}", ALTERNATIVE)
            _attach_filter(process.pid)
        except BaseException:
            await access.end()
            raise
        finally:
            os.close(ready)
        return access

    async def end(self) -> None:
        """Kills the process and waits until it has ended. Call it once."""
        self._process.kill()
        while self._process.poll() is None:
            await asyncio.sleep(0.002)
        os.close(self._alive)
        if self._process.stderr is not None:
            asyncio.get_running_loop().remove_reader(self._process.stderr)
            self._process.stderr.close()

    def _read_stderr(self) -> None:
        """Reads stderr and keeps its end. A full pipe would block slirp4netns."""
        stderr = self._process.stderr
        if stderr is None:
            return
        with suppress(BlockingIOError):
            data = os.read(stderr.fileno(), DIAGNOSIS_BYTES)
            self._stderr = (self._stderr + data)[-DIAGNOSIS_BYTES:]
            if not data:
                asyncio.get_running_loop().remove_reader(stderr)

    def _last_error_line(self) -> str:
        self._read_stderr()
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a message"


def _attach_filter(process: int) -> None:
    try:
        tunnel_filter.attach(process, tunnel_filter.program(NAME_SERVER, blocked_networks()))
    except OSError as error:
        reason = f"the tunnel of a sandbox cannot be filtered ({error.strerror or error})"
        raise SandboxUnavailableError(
            reason, f"In a container, allow it (for Docker: {DOCKER_OPTION}), {ALTERNATIVE}"
        ) from error


async def _wait_until_ready(ready: int) -> bool:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(ready, lambda: readable.done() or readable.set_result(None))
    try:
        await asyncio.wait_for(readable, READY_SECONDS)
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(ready)
    return os.read(ready, 1) == b"1"
