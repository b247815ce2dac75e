"""Constants, paths and options of the embedded AWS."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROOT_ACCESS_KEY_ID = "AKIASANDPIPERLOCAL00"
"""A constant, because the CDK CLI caches the account of an access key. The secret is new at every start."""
ADMIN_TOKEN_VARIABLE = "LOCAL_AGENTCORE_STEERING_TOKEN"  # noqa: S105 - a variable name, defined by local_agentcore
MIN_FREE_BYTES = 300 * 1024 * 1024
COMPONENTS = ("service", "aws", "agentcore")
"""The components that write a log, in the order of `sandpiper local logs`."""


class LocalAwsError(Exception):
    """The embedded AWS cannot do what was requested. The message states the problem and the remedy."""


@dataclass(frozen=True)
class Runtimes:
    """The Python environments of MiniStack, Lambda workers and sandboxes. Each has its own lock file.

    Attributes:
        directory: The folder that holds them.
    """

    directory: Path

    @classmethod
    def from_checkout(cls) -> Runtimes:
        """Returns the environments of the checkout that contains this package."""
        return cls(Path(__file__).resolve().parents[2] / "runtimes")

    @property
    def ministack_python(self) -> Path:
        """Python interpreter that runs MiniStack."""
        return self._python("ministack")

    @property
    def lambda_python(self) -> Path:
        """Python interpreter that runs Lambda workers."""
        return self._python("lambda")

    @property
    def sandbox(self) -> Path:
        """Python environment that code in a sandbox uses."""
        return self.directory / "sandbox" / ".venv"

    def require(self) -> None:
        """Raises LocalAwsError when an environment is not installed."""
        for python in (self.ministack_python, self.lambda_python, self.sandbox / "bin" / "python"):
            if not python.exists():
                raise LocalAwsError(f"{python.parent.parent} is not installed: run `make setup`")

    def _python(self, name: str) -> Path:
        return self.directory / name / ".venv" / "bin" / "python"


@dataclass(frozen=True)
class StateDirectory:
    """The files of a running embedded AWS: its record (`running.json`), its logs and unpacked functions.

    Attributes:
        directory: Any folder. The files are in its subfolder `.sandpiper/NAME`; nothing else in it is changed.
        name: Name of the subfolder.
    """

    directory: Path
    name: str = "local"

    @property
    def path(self) -> Path:
        """Folder that holds all the files."""
        return self.directory / ".sandpiper" / self.name

    @property
    def running(self) -> Path:
        """Record of the running instance."""
        return self.path / "running.json"

    @property
    def lock(self) -> Path:
        """Lock file. The starting process locks it; the service inherits the lock and holds it until it ends."""
        return self.path / "lock"

    @property
    def work(self) -> Path:
        """Folder of unpacked functions. It is emptied at every start."""
        return self.path / "work"

    def log(self, name: str) -> Path:
        """Returns the log file of a component (`COMPONENTS`)."""
        return self.path / f"{name}.log"


@dataclass(frozen=True)
class Hosts:
    """Services that code in VPC and PUBLIC interpreters can reach by name.

    Attributes:
        vpc: Hosts of VPC interpreters, each as `NAME:PORT=HOST:PORT`.
        public: Hosts of PUBLIC interpreters, in the same form.
        public_only: PUBLIC interpreters reach only `public` and not the internet.
    """

    vpc: Sequence[str] = ()
    public: Sequence[str] = ()
    public_only: bool = False

    def options(self) -> list[str]:
        """Returns the command line options of `local-agentcore serve` for these hosts."""
        named = [
            (f"--{mode}-host", host) for mode, hosts in (("vpc", self.vpc), ("public", self.public)) for host in hosts
        ]
        return [*chain.from_iterable(named), *(["--public-hosts-only"] if self.public_only else [])]


TOTAL_LIMITS = ("memory-mib", "disk-mib", "processes", "open-files", "terminals")
"""Limits of all sessions together: options `--total-NAME` of `local-agentcore serve`."""


def parse_totals(values: Sequence[str]) -> Mapping[str, int]:
    """Returns limits of all sessions together by name, from values of the form `NAME=N`.

    Raises:
        LocalAwsError: A value has another form.
    """
    totals: dict[str, int] = {}
    for value in values:
        name, _, number = value.partition("=")
        if name not in TOTAL_LIMITS or not (number.isascii() and number.isdigit()):
            raise LocalAwsError(f"--total: {value!r} is not NAME=N with a NAME of {' | '.join(TOTAL_LIMITS)}")
        totals[name] = int(number)
    return totals


def total_options(totals: Mapping[str, int]) -> list[str]:
    """Returns the command line options of `local-agentcore serve` for limits of all sessions together."""
    return [part for name, number in totals.items() for part in (f"--total-{name}", str(number))]


def state_directory_error(state: StateDirectory, error: OSError) -> LocalAwsError:
    """Returns the error for a state directory that the operating system refuses."""
    return LocalAwsError(f"{state.directory} cannot be used: {error.strerror}; choose another folder with --state")
