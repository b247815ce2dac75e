"""Where the embedded AWS keeps what it needs, and whom it pretends to be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROOT_ACCESS_KEY_ID = "AKIASANDPIPERLOCAL00"
"""Always the same: the CDK CLI remembers an account by its access key. The secret is new at every start."""
STEERING_TOKEN_VARIABLE = "LOCAL_AGENTCORE_STEERING_TOKEN"  # noqa: S105 - the name; local_agentcore's own
MIN_FREE_BYTES = 300 * 1024 * 1024


class LocalAwsError(Exception):
    """The embedded AWS cannot do what was asked: what happened and what to do, in words for the person who asked."""


@dataclass(frozen=True)
class Runtimes:
    """The Python environments that the embedded AWS runs beside its own, each with a lock of its own."""

    directory: Path

    @classmethod
    def of_checkout(cls) -> Runtimes:
        """Those of the checkout that this package lies in."""
        return cls(Path(__file__).resolve().parents[2] / "runtimes")

    @property
    def ministack_python(self) -> Path:
        """The interpreter of MiniStack's environment."""
        return self._python("ministack")

    @property
    def lambda_python(self) -> Path:
        """The interpreter of a Lambda worker."""
        return self._python("lambda")

    @property
    def sandbox(self) -> Path:
        """The environment that code in a sandbox sees."""
        return self.directory / "sandbox" / ".venv"

    def require(self) -> None:
        """Raises LocalAwsError when one of them is not installed."""
        for python in (self.ministack_python, self.lambda_python, self.sandbox / "bin" / "python"):
            if not python.exists():
                raise LocalAwsError(f"{python.parent.parent} is not installed: run `make setup`")

    def _python(self, name: str) -> Path:
        return self.directory / name / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class StateDirectory:
    """What a running embedded AWS leaves on disk: who it is (`running.json`), its logs and its work.

    All of it lies in `.sandpiper/NAME` below `directory`, which may be any folder: nothing else in it is touched.
    """

    directory: Path
    name: str = "local"

    @property
    def path(self) -> Path:
        """The folder that is ours alone."""
        return self.directory / ".sandpiper" / self.name

    @property
    def running(self) -> Path:
        """The record of the running service."""
        return self.path / "running.json"

    @property
    def lock(self) -> Path:
        """Locked by who starts one, and then by the service for its whole life."""
        return self.path / "lock"

    @property
    def work(self) -> Path:
        """Unpacked functions; emptied at every start."""
        return self.path / "work"

    def log(self, name: str) -> Path:
        """The log of one part: `service`, `aws` or `agentcore`."""
        return self.path / f"{name}.log"


@dataclass(frozen=True)
class Hosts:
    """Services that code in VPC and in PUBLIC interpreters finds by name, each as `NAME:PORT=HOST:PORT`.

    With `public_only` code of PUBLIC interpreters finds those instead of the outside world.
    """

    vpc: Sequence[str] = ()
    public: Sequence[str] = ()
    public_only: bool = False

    def options(self) -> list[str]:
        """The options of `local-agentcore serve` for them."""
        named = [
            (f"--{mode}-host", host) for mode, hosts in (("vpc", self.vpc), ("public", self.public)) for host in hosts
        ]
        return [*chain.from_iterable(named), *(["--public-hosts-only"] if self.public_only else [])]


COMPONENTS = ("service", "aws", "agentcore")
"""Everything that writes a log, in the order of `sandpiper local logs`."""


def state_directory_error(state: StateDirectory, error: OSError) -> LocalAwsError:
    """The error for a state directory that the operating system refuses."""
    return LocalAwsError(f"{state.directory} cannot be used: {error.strerror}; choose another folder with --state")
