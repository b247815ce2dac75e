"""Settings of an emulator."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .assumptions import Assumptions
from .network.networks import NetworkSettings
from .sandbox.limits import MEBIBYTE, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .sandbox.totals import Totals

MemoryBy = Literal["auto", "watchdog"]

DEFAULT_PORT = 5200
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"
AUTHORIZER_TOKEN_VARIABLE = "LOCAL_AGENTCORE_AUTHORITY_TOKEN"  # noqa: S105  the variable's name
RUNTIME_VARIABLE = "LOCAL_AGENTCORE_RUNTIME"
ADMIN_TOKEN_VARIABLE = "LOCAL_AGENTCORE_STEERING_TOKEN"  # noqa: S105  the variable's name


def default_state() -> Path:
    """Returns the folder for working files: one per user, in the system's temporary directory."""
    return Path(tempfile.gettempdir(), f"local-agentcore-{os.getuid()}")


@dataclass(frozen=True)
class Quotas:
    """Quotas of one account in one region, with the service's defaults (AgentCore quotas).

    Attributes:
        calls_per_second: Calls of each operation per second. 0 for no limit.
        sessions: Live sessions.
        interpreters: Custom interpreters.
        request_bytes: Bytes per request.
        event_bytes: Bytes per event of a response stream.
    """

    calls_per_second: float = 30
    sessions: int = 1000
    interpreters: int = 1000
    request_bytes: int = 100_000_000
    event_bytes: int = 24 * MEBIBYTE


@dataclass(frozen=True)
class Settings:
    """Settings of one emulator.

    Attributes:
        runtime: The virtual environment of sandboxed code.
        state: The folder for working files.
        account: The account id in ARNs.
        region: The region in ARNs.
        pool: The number of sandboxes that are started ahead.
        memory_by: The mechanism that limits a sandbox's memory: `auto` uses a control group if possible, `watchdog`
            always the watchdog.
        authorizer: The URL and the token of the authorizer. None: every call is allowed.
        admin_token: The token of the admin API. None: with an authorizer, the admin API rejects every call.
        network: The destinations that sandboxes can reach.
        limits: The limits of each sandbox.
        total_limits: The limits of all sandboxes together that differ from those for this machine, by name.
        quotas: The quotas of the account.
        assumptions: The assumptions about the service.
    """

    runtime: Path
    state: Path = field(default_factory=default_state)
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    pool: int = 1
    memory_by: MemoryBy = "auto"
    authorizer: tuple[str, str] | None = field(default=None, repr=False)
    admin_token: str | None = field(default=None, repr=False)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    limits: Limits = field(default_factory=Limits)
    total_limits: Mapping[str, int] = field(default_factory=dict[str, int])
    quotas: Quotas = field(default_factory=Quotas)
    assumptions: Assumptions = field(default_factory=Assumptions)

    def totals(self, of_host: Totals) -> Totals:
        """Returns the limits of all sandboxes together. Files are in memory, so that disk is at most memory."""
        totals = replace(of_host, **self.total_limits)
        return replace(totals, disk_bytes=min(totals.disk_bytes, totals.memory_bytes))
