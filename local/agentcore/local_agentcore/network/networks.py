"""The networks of an emulator: what a sandbox of each mode has, and who answers when a session's code calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SandboxUnavailableError
from ..interpreters import PUBLIC, SANDBOX, VPC
from ..sandbox.internet_access import find_slirp
from ..sandbox.network_spec import NetworkSpec
from . import named_hosts
from .metadata import ADDRESS, Metadata
from .role import SessionRole
from .s3_proxy import S3Proxy, Upstream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..authorizer import Authorizer
    from ..interpreters import Interpreter
    from ..sandbox.listeners import Handler


@dataclass(frozen=True)
class NetworkSettings:
    """What sandboxes may reach.

    Attributes:
        s3: the S3 of every mode; None: an error that says so.
        vpc_hosts: what a VPC interpreter finds in its VPC.
        public_hosts: what a PUBLIC interpreter finds beside the outside world.
        public_hosts_only: it finds them instead.
    """

    s3: Upstream | None = None
    vpc_hosts: tuple[named_hosts.NamedHost, ...] = ()
    public_hosts: tuple[named_hosts.NamedHost, ...] = ()
    public_hosts_only: bool = False


class Networks:
    """Sandboxes are made for a mode, and serve a session from when they become its."""

    def __init__(self, settings: NetworkSettings, region: str, authorizer: Authorizer | None) -> None:
        self._settings, self._region, self._authorizer = settings, region, authorizer
        self._gate = S3Proxy(settings.s3)
        self._hosts: Mapping[str, Sequence[named_hosts.NamedHost]] = {
            SANDBOX: (),
            PUBLIC: settings.public_hosts,
            VPC: settings.vpc_hosts,
        }

    def network_spec(self, mode: str) -> NetworkSpec:
        """Returns what sandboxes of a network mode have.

        Raises:
            SandboxUnavailableError: this machine cannot give it; says what to do.
        """
        hosts = self._hosts[mode]
        environment = {
            "AWS_ENDPOINT_URL_S3": self._gate.url,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
        }
        listeners = (self._gate.address, ADDRESS, *named_hosts.listeners(hosts))
        internet = mode == PUBLIC and not self._settings.public_hosts_only
        if internet:
            find_slirp()
        return NetworkSpec(listeners, named_hosts.addresses(hosts), environment, internet)

    def describe(self) -> dict[str, str]:
        """Returns in words what each mode reaches here, or why it reaches nothing."""
        s3 = "no S3 (the emulator was started without --s3)"
        if self._settings.s3 is not None:
            s3 = f"the S3 at {self._settings.s3.url}"
        return {
            SANDBOX: s3,
            PUBLIC: f"{s3}, {self._outside()}{_and(self._settings.public_hosts)}",
            VPC: f"{s3}{_and(self._settings.vpc_hosts)}",
        }

    def _outside(self) -> str:
        if self._settings.public_hosts_only:
            return "not the outside world (--public-hosts-only)"
        try:
            find_slirp()
        except SandboxUnavailableError as error:
            return f"but no session can be started: {error.reason}. To do: {error.fix}"
        return "the outside world by slirp4netns, without this host and private networks"

    def handlers(self, interpreter: Interpreter, session_id: str) -> list[Handler]:
        """Returns who serves the listeners of the session's sandbox, in the order of its reach."""
        role = interpreter.recorded.get("executionRoleArn")
        session_role = None
        if role is not None and self._authorizer is not None:
            session_role = SessionRole(self._authorizer, role, interpreter.arn, session_id)
        hosts = named_hosts.handlers(self._hosts[interpreter.network_mode])
        return [self._gate.for_a_sandbox(), Metadata(session_role, self._region).serve, *hosts]


def _and(hosts: Sequence[named_hosts.NamedHost]) -> str:
    return "".join(f", {host.name}:{host.port}" for host in hosts)
