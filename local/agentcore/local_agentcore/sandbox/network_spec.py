"""The network of a sandbox. It is the same for all sandboxes of a network mode, because they are started ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class NetworkSpec:
    """A network namespace with loopback and these additions.

    Attributes:
        listeners: Address and port of each listener that is opened in the sandbox and served by the emulator, in order.
        hosts: Addresses by name, for /etc/hosts.
        environment: Variables that direct programs to the listeners.
        internet: Whether the sandbox reaches the internet, by `internet_access`.
    """

    listeners: tuple[tuple[str, int], ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    internet: bool = False
