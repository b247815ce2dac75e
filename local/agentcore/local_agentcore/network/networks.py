"""The networks of an emulator: what a sandbox of each mode has, and who answers when a session's code calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..interpreters import PUBLIC, SANDBOX, VPC
from ..sandbox.reach import Reach
from . import named_hosts
from .metadata import ADDRESS, Metadata
from .role import SessionRole
from .s3_gate import S3Gate, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..authority import Authority
    from ..interpreters import Interpreter
    from ..sandbox.listeners import Handler


@dataclass(frozen=True)
class NetworkSettings:
    """What sandboxes may reach.

    Attributes:
        s3: the S3 of every mode; None: an error that says so.
        vpc_hosts: what a VPC interpreter finds in its VPC.
        public_hosts: what a PUBLIC interpreter finds beside, or instead of, the outside world.
    """

    s3: Upstream | None = None
    vpc_hosts: tuple[named_hosts.NamedHost, ...] = ()
    public_hosts: tuple[named_hosts.NamedHost, ...] = ()


class Networks:
    """Sandboxes are made for a mode, and serve a session from when they become its."""

    def __init__(self, settings: NetworkSettings, region: str, authority: Authority | None) -> None:
        self._region, self._authority = region, authority
        self._gate = S3Gate(settings.s3)
        self._hosts: Mapping[str, Sequence[named_hosts.NamedHost]] = {
            SANDBOX: (),
            PUBLIC: settings.public_hosts,
            VPC: settings.vpc_hosts,
        }

    def reach(self, mode: str) -> Reach:
        """Returns what sandboxes of a network mode have."""
        hosts = self._hosts[mode]
        environment = {
            "AWS_ENDPOINT_URL_S3": self._gate.url,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
        }
        listeners = (self._gate.address, ADDRESS, *named_hosts.listeners(hosts))
        return Reach(listeners, named_hosts.addresses(hosts), environment)

    def handlers(self, interpreter: Interpreter, session_id: str) -> list[Handler]:
        """Returns who serves the listeners of the session's sandbox, in the order of its reach."""
        role = interpreter.recorded.get("executionRoleArn")
        session_role = None
        if role is not None and self._authority is not None:
            session_role = SessionRole(self._authority, role, interpreter.arn, session_id)
        hosts = named_hosts.handlers(self._hosts[interpreter.network_mode])
        return [self._gate.serve, Metadata(session_role, self._region).serve, *hosts]
