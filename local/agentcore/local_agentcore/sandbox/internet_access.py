"""The outside world for a sandbox: slirp4netns, a network stack in a process without rights, joined to its namespaces.

To the host its connections are those of an ordinary program of the host; so all that the host itself offers, and the
private networks that it is in, are refused by a filter on the tunnel, before slirp gets to see a packet, and by routes,
which say so at once.
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
"""Private, shared, link-local, multicast and reserved networks (RFC 6890), and the address by which Azure's own
machines are told secrets. slirp's own network lies in 10.0.0.0/8 and has a narrower route."""
ROUTING_TABLE = Path("/proc/net/fib_trie")
LOCAL_ADDRESS = re.compile(r"\|-- (\d+\.\d+\.\d+\.\d+)\n\s+/32 host LOCAL")
DOCKER_OPTION = "--cap-add SYS_PTRACE"
ALTERNATIVE = "or start the emulator with --public-hosts-only, with which PUBLIC reaches what --public-host names"


def find_slirp() -> str:
    """Returns the path of slirp4netns.

    Raises:
        SandboxUnavailableError: it is not installed, or this user may not open a tunnel.
    """
    path = shutil.which("slirp4netns")
    if path is None:
        reason = "PUBLIC interpreters need slirp4netns, which is not installed"
        raise SandboxUnavailableError(reason, f"sudo apt-get install slirp4netns, {ALTERNATIVE}")
    if not TUNNEL.exists():
        reason = f"PUBLIC interpreters need {TUNNEL}, which is not there"
        raise SandboxUnavailableError(reason, f"sudo modprobe tun (for Docker: --device {TUNNEL}), {ALTERNATIVE}")
    if os.geteuid() != 0 and not os.access(TUNNEL, os.R_OK | os.W_OK):
        reason = f"PUBLIC interpreters need {TUNNEL}, which this user may not open"
        raise SandboxUnavailableError(reason, f"sudo chmod 666 {TUNNEL} (the default of most systems), {ALTERNATIVE}")
    return path


def blocked_networks() -> list[str]:
    """Returns what a sandbox does not reach: what is not internet, and each address of this host.

    Raises:
        SandboxUnavailableError: the host's addresses cannot be told.
    """
    try:
        own = LOCAL_ADDRESS.findall(ROUTING_TABLE.read_text())
    except OSError as error:
        raise SandboxUnavailableError(f"the addresses of this host cannot be read ({error})", ALTERNATIVE) from error
    return [*NON_PUBLIC_NETWORKS, *dict.fromkeys(f"{address}/32" for address in own)]


class InternetAccess:
    """A running slirp4netns. It ends when `end` is called, and when this process does."""

    def __init__(self, process: subprocess.Popen[bytes], alive: int) -> None:
        """`alive` is a descriptor that slirp ends with: this process's alone."""
        self._process, self._alive = process, alive
        self._words = bytearray()
        if process.stderr is not None:
            os.set_blocking(process.stderr.fileno(), False)
            asyncio.get_running_loop().add_reader(process.stderr, self._listen)

    @classmethod
    async def join(
        cls, user_namespace: int, network_namespace: int, uid: int | None, processes_files: Sequence[Path]
    ) -> InternetAccess:
        """Gives a network namespace the outside world, and returns when it has it.

        Args:
            user_namespace: descriptor of the one that the network namespace belongs to.
            network_namespace: its descriptor.
            uid: the user that owns both, when this process is root.
            processes_files: of the control groups that it belongs to.

        Raises:
            SandboxUnavailableError: it does not start; says why.
        """
        path = find_slirp()
        (ready, far_ready), (far_alive, alive) = os.pipe(), os.pipe()
        descriptors = (user_namespace, network_namespace, far_ready, far_alive)
        command = [
            *(path, "--configure", "--mtu=65520", "--disable-host-loopback", "--enable-seccomp"),
            *(f"--userns-path=/proc/self/fd/{user_namespace}", "--netns-type=path"),
            *("--ready-fd", str(far_ready), "--exit-fd", str(far_alive)),
            *(f"/proc/self/fd/{network_namespace}", "tap0"),
        ]
        plan = {"uid": uid, "control_groups": [str(file) for file in processes_files], "command": command}
        try:
            process = subprocess.Popen(  # noqa: S603  the stub, with a plan of our own
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
            for descriptor in (far_ready, far_alive):
                os.close(descriptor)
        internet = cls(process, alive)
        try:
            if process.stdin is not None:
                with suppress(BrokenPipeError):  # the stub has ended; its last words say why
                    process.stdin.write(json.dumps(plan).encode())
                    process.stdin.close()
            if not await _wait_until_ready(ready):
                raise SandboxUnavailableError(f"slirp4netns does not start: {internet._last_words()}", ALTERNATIVE)
            _attach_filter(process.pid)
        except BaseException:
            await internet.end()
            raise
        finally:
            os.close(ready)
        return internet

    async def end(self) -> None:
        """Ends it, and waits until it has. Once."""
        self._process.kill()
        while self._process.poll() is None:
            await asyncio.sleep(0.002)
        os.close(self._alive)
        if self._process.stderr is not None:
            asyncio.get_running_loop().remove_reader(self._process.stderr)
            self._process.stderr.close()

    def _listen(self) -> None:
        """Keeps its last words, and throws the rest away: were the pipe full, it would stop."""
        stderr = self._process.stderr
        if stderr is None:
            return
        with suppress(BlockingIOError):
            data = os.read(stderr.fileno(), DIAGNOSIS_BYTES)
            self._words = (self._words + data)[-DIAGNOSIS_BYTES:]
            if not data:
                asyncio.get_running_loop().remove_reader(stderr)

    def _last_words(self) -> str:
        self._listen()
        lines = self._words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it ended without a word"


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
