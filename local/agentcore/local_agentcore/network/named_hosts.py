"""Hosts that the user of the emulator names: inside a sandbox each has its name, its port and nothing else of it."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .http import CHUNK_BYTES, STALL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..sandbox.listeners import Handler

CONNECT_SECONDS = 10.0
FIRST_ADDRESS = (127, 0, 1, 1)
MAX_HOSTS = 200
"""The kernel hands 253 descriptors over at once (SCM_MAX_FD)."""
FORM = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9.-]{0,252}):(?P<port>\d{1,5})=(?P<host>[^\s=/]+):(?P<target>\d{1,5})")


@dataclass(frozen=True)
class NamedHost:
    """A service: how code in a sandbox calls it, and where the emulator finds it."""

    name: str
    port: int
    target_host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> NamedHost:
        """Reads `NAME:PORT=HOST:PORT`.

        Raises:
            ValueError: it is not of that form.
        """
        found = FORM.fullmatch(text)
        ports = [int(found[part]) for part in ("port", "target")] if found else [0]
        if found is None or not all(1 <= port <= 65_535 for port in ports):
            raise ValueError(f"{text} is not of the form NAME:PORT=HOST:PORT, as in db.internal:5432=127.0.0.1:5432")
        if found["name"].lower() == "localhost" or found["name"].replace(".", "").isdigit():
            raise ValueError(f"{found['name']} is no name that a host of another network can have")
        return cls(found["name"].lower(), ports[0], found["host"], ports[1])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one connection on to the target, byte by byte, until both sides have ended it."""
        async with asyncio.timeout(CONNECT_SECONDS):
            far_reader, far_writer = await asyncio.open_connection(self.target_host, self.target_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(_pass_on(far_reader, writer))
        except* (OSError, TimeoutError):
            pass  # one side has gone: so does the other
        finally:
            far_writer.close()
            with suppress(OSError):
                await far_writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        async with asyncio.timeout(STALL_SECONDS):
            await writer.drain()
    writer.write_eof()


def require_distinct(hosts: Sequence[NamedHost]) -> None:
    """Raises ValueError when two hosts have the same name and port, or there are more than a sandbox can have."""
    if len({(host.name, host.port) for host in hosts}) < len(hosts):
        raise ValueError("a NAME:PORT is given twice")
    if len(hosts) > MAX_HOSTS:
        raise ValueError(f"{len(hosts)} hosts are named; {MAX_HOSTS} are possible")


def addresses(hosts: Iterable[NamedHost]) -> dict[str, str]:
    """Returns a loopback address of its own for each name."""
    first = int.from_bytes(bytes(FIRST_ADDRESS))
    names = dict.fromkeys(host.name for host in hosts)
    numbers = ((first + number).to_bytes(4) for number in range(len(names)))
    return {name: ".".join(map(str, number)) for name, number in zip(names, numbers, strict=True)}


def listeners(hosts: Iterable[NamedHost]) -> list[tuple[str, int]]:
    """Returns the address and port of each inside a sandbox."""
    chosen = list(hosts)
    by_name = addresses(chosen)
    return [(by_name[host.name], host.port) for host in chosen]


def handlers(hosts: Iterable[NamedHost]) -> list[Handler]:
    """Returns who serves them, in the same order."""
    return [host.serve for host in hosts]
