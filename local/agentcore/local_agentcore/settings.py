"""What one emulator is started with."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from .assumptions import Assumptions
from .network.networks import NetworkSettings
from .sandbox.limits import MEBIBYTE, Limits

MemoryBy = Literal["auto", "watchdog"]

DEFAULT_PORT = 5200
DEFAULT_ACCOUNT = "123456789012"
DEFAULT_REGION = "us-east-1"
AUTHORIZER_TOKEN_VARIABLE = "LOCAL_AGENTCORE_AUTHORITY_TOKEN"  # noqa: S105  the variable's name
RUNTIME_VARIABLE = "LOCAL_AGENTCORE_RUNTIME"
ADMIN_TOKEN_VARIABLE = "LOCAL_AGENTCORE_STEERING_TOKEN"  # noqa: S105  the variable's name


def default_state() -> Path:
    """Returns the folder for working files: one a user, in the system's temporary directory."""
    return Path(tempfile.gettempdir(), f"local-agentcore-{os.getuid()}")


@dataclass(frozen=True)
class Quotas:
    """What one account may do in one region, with the service's defaults (AgentCore quotas).

    Attributes:
        calls_per_second: of each operation; 0 for no limit.
        sessions: live ones.
        interpreters: custom ones.
        request_bytes: of one request.
        event_bytes: of one event of an answer.
    """

    calls_per_second: float = 30
    sessions: int = 1000
    interpreters: int = 1000
    request_bytes: int = 100_000_000
    event_bytes: int = 24 * MEBIBYTE


@dataclass(frozen=True)
class Settings:
    """The choices of whoever starts the emulator.

    Attributes:
        runtime: the virtual environment that sandboxed code finds.
        state: where the emulator keeps small files while it runs.
        pool: how many sandboxes are kept started ahead.
        authorizer: the URL that says who may do what, and its token; None: everybody may do everything.
        admin_token: what who steers the emulator has to know where there is an authority; None: nobody may there.
        network: what sandboxes may reach.
        memory_by: what bounds a sandbox's memory: a control group where one may be made, or never but the watchdog.
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
    quotas: Quotas = field(default_factory=Quotas)
    assumptions: Assumptions = field(default_factory=Assumptions)
