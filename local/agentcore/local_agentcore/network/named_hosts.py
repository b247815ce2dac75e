"""Hosts from --vpc-host and --public-host: code in a sandbox reaches each by its name and port only."""

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
"""The kernel transfers at most 253 descriptors in one message (SCM_MAX_FD)."""
PATTERN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9.-]{0,252}):(?P<port>\d{1,5})=(?P<host>[^\s=/]+):(?P<target>\d{1,5})"
)


@dataclass(frozen=True)
class NamedHost:
    """A service: its name and port inside a sandbox, and its address on the host."""

    name: str
    port: int
    target_host: str
    target_port: int

    @classmethod
    def parse(cls, text: str) -> NamedHost:
        """Parses `NAME:PORT=HOST:PORT`.

        Example:
            `NamedHost.parse("db.internal:5432=127.0.0.1:5432")`

        Raises:
            ValueError: The text does not have this form.
        """
        match = PATTERN.fullmatch(text)
        ports = [int(match[part]) for part in ("port", "target")] if match else [0]
        if match is None or not all(1 <= port <= 65_535 for port in ports):
            raise ValueError(
                f"{text} is not of the form NAME:PORT=HOST:PORT, for example db.internal:5432=127.0.0.1:5432"
            )
        if match["name"].lower() == "localhost" or match["name"].replace(".", "").isdigit():
            raise ValueError(f"{match['name']} is not allowed: use a DNS name other than localhost")
        return cls(match["name"].lower(), ports[0], match["host"], ports[1])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection to the target until both sides have closed it."""
        async with asyncio.timeout(CONNECT_SECONDS):
            target_reader, target_writer = await asyncio.open_connection(self.target_host, self.target_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_forward(reader, target_writer))
                both.create_task(_forward(target_reader, writer))
        except* (OSError, TimeoutError):
            pass  # one side closed the connection: close the other
        finally:
            target_writer.close()
            with suppress(OSError):
                await target_writer.wait_closed()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        async with asyncio.timeout(STALL_SECONDS):
            await writer.drain()
    writer.write_eof()


def require_distinct(hosts: Sequence[NamedHost]) -> None:
    """Raises ValueError if two hosts have the same name and port, or there are more than MAX_HOSTS."""
    if len({(host.name, host.port) for host in hosts}) < len(hosts):
        raise ValueError("a NAME:PORT is present twice; each has to be unique")
    if len(hosts) > MAX_HOSTS:
        raise ValueError(f"{len(hosts)} hosts are too many; allowed: {MAX_HOSTS}")


def addresses(hosts: Iterable[NamedHost]) -> dict[str, str]:
    """Returns a separate loopback address for each name."""
    first = int.from_bytes(bytes(FIRST_ADDRESS))
    names = dict.fromkeys(host.name for host in hosts)
    numbers = ((first + number).to_bytes(4) for number in range(len(names)))
    return {name: ".".join(map(str, number)) for name, number in zip(names, numbers, strict=True)}


def listeners(hosts: Iterable[NamedHost]) -> list[tuple[str, int]]:
    """Returns the address and port of each host inside a sandbox."""
    hosts = list(hosts)
    by_name = addresses(hosts)
    return [(by_name[host.name], host.port) for host in hosts]


def handlers(hosts: Iterable[NamedHost]) -> list[Handler]:
    """Returns the hosts' connection handlers, in the same order."""
    return [host.serve for host in hosts]
