"""The networks of an emulator: the destinations of each network mode, and the handlers of connections to them."""

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
    """The destinations that sandboxes can reach.

    Attributes:
        s3: The S3 endpoint of every mode. None: sandboxes get an error that states the option to set.
        vpc_hosts: Hosts that VPC interpreters reach.
        public_hosts: Hosts that PUBLIC interpreters reach in addition to the internet.
        public_hosts_only: Whether PUBLIC interpreters reach only `public_hosts`.
    """

    s3: Upstream | None = None
    vpc_hosts: tuple[named_hosts.NamedHost, ...] = ()
    public_hosts: tuple[named_hosts.NamedHost, ...] = ()
    public_hosts_only: bool = False


class Networks:
    """Builds the network of sandboxes per mode, and the connection handlers per session."""

    def __init__(self, settings: NetworkSettings, region: str, authorizer: Authorizer | None) -> None:
        self._settings, self._region, self._authorizer = settings, region, authorizer
        self._s3_proxy = S3Proxy(settings.s3)
        self._hosts: Mapping[str, Sequence[named_hosts.NamedHost]] = {
            SANDBOX: (),
            PUBLIC: settings.public_hosts,
            VPC: settings.vpc_hosts,
        }

    def network_spec(self, mode: str) -> NetworkSpec:
        """Returns the network of sandboxes of a mode.

        Raises:
            SandboxUnavailableError: This machine does not support the mode. The error states the remedy.
        """
        hosts = self._hosts[mode]
        environment = {
            "AWS_ENDPOINT_URL_S3": self._s3_proxy.url,
            "AWS_REGION": self._region,
            "AWS_DEFAULT_REGION": self._region,
        }
        listeners = (self._s3_proxy.address, ADDRESS, *named_hosts.listeners(hosts))
        internet = mode == PUBLIC and not self._settings.public_hosts_only
        if internet:
            find_slirp()
        return NetworkSpec(listeners, named_hosts.addresses(hosts), environment, internet)

    def describe(self) -> dict[str, str]:
        """Returns a description of the destinations of each mode, or the reason why its sessions cannot start."""
        s3 = "no S3 (the emulator was started without --s3)"
        if self._settings.s3 is not None:
            s3 = f"the S3 at {self._settings.s3.url}"
        return {
            SANDBOX: s3,
            PUBLIC: f"{s3}, {self._describe_internet()}{_host_list(self._settings.public_hosts)}",
            VPC: f"{s3}{_host_list(self._settings.vpc_hosts)}",
        }

    def _describe_internet(self) -> str:
        if self._settings.public_hosts_only:
            return "not the internet (--public-hosts-only)"
        try:
            find_slirp()
        except SandboxUnavailableError as error:
            return f"but no session can be started: {error.reason}. Remedy: {error.fix}"
        return "the internet by slirp4netns, without this host and private networks"

    def session_role(self, interpreter: Interpreter, session_id: str) -> SessionRole | None:
        """Returns the execution role of a session, or None for an interpreter without a role."""
        role = interpreter.echoed.get("executionRoleArn")
        if role is None or self._authorizer is None:
            return None
        return SessionRole(self._authorizer, role, interpreter.arn, session_id)

    def handlers(self, interpreter: Interpreter, role: SessionRole | None) -> list[Handler]:
        """Returns the connection handlers of a session's sandbox, in the order of the listeners in its NetworkSpec."""
        hosts = named_hosts.handlers(self._hosts[interpreter.network_mode])
        subnet = interpreter.subnet
        source = self._authorizer.sign(subnet) if self._authorizer and subnet else subnet
        return [self._s3_proxy.handler(source), Metadata(role, self._region).serve, *hosts]


def _host_list(hosts: Sequence[named_hosts.NamedHost]) -> str:
    return "".join(f", {host.name}:{host.port}" for host in hosts)
