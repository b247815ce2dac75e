"""What the network of a sandbox has. The same for all sandboxes of one network mode, which are started ahead."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Reach:
    """A namespace with nothing but its own loopback, where the emulator itself listens.

    Attributes:
        listeners: address and port of each listener that is opened inside and served by the emulator, in this order.
        hosts: addresses by name, for /etc/hosts.
        environment: variables that lead programs to the listeners.
    """

    listeners: tuple[tuple[str, int], ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
