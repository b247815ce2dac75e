"""What the network of a sandbox has, the same for all sandboxes of one network mode: they are started ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class NetworkSpec:
    """A namespace with its own loopback, where the emulator itself listens, and nothing else but what is said here.

    Attributes:
        listeners: address and port of each listener that is opened inside and served by the emulator, in this order.
        hosts: addresses by name, for /etc/hosts.
        environment: variables that lead programs to the listeners.
        internet: whether the sandbox reaches the internet, by `internet_access`.
    """

    listeners: tuple[tuple[str, int], ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    internet: bool = False
