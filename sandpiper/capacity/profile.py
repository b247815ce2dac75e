"""What a batch does, as flags or as a file of the user describe it. Every value is checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from sandpiper.capacity.model import Job
from sandpiper.errors import CliError
from sandpiper_contract.batches import MAX_ITEM_BYTES, MAX_ITEMS, MAX_ITEMS_PER_SESSION
from sandpiper_contract.files import MAX_FILE_BYTES, MAX_FILES
from sandpiper_contract.prices import LIST_PRICES, SESSION_GB, SESSION_VCPUS
from sandpiper_contract.requests import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

MAX_PROFILE_BYTES = 64 * 1024
MAX_CALLS_PER_SECOND, MAX_SESSIONS, MAX_REGIONS = 100_000, 100_000, 40
"""More than AWS has granted anyone; a larger value is a mistake."""


@dataclass(frozen=True)
class Bounds:
    """The allowed values of a number."""

    low: float
    high: float
    unit: str
    is_whole: bool = True

    def check(self, place: str, value: object) -> float:
        """Returns the value. Raises CliError if it is not a number or out of bounds."""
        is_number = isinstance(value, int if self.is_whole else int | float) and not isinstance(value, bool)
        if is_number and math.isfinite(number := cast("float", value)) and self.low <= number <= self.high:
            return number
        kind = "a whole number" if self.is_whole else "a number"
        raise CliError(f"{place} is {value!r}; allowed: {kind} from {self.low:,} to {self.high:,} ({self.unit})")


BOUNDS = {
    "items": Bounds(1, MAX_ITEMS, "items of one batch; for more, plan several"),
    "seconds": Bounds(0, TIMEOUT_SECONDS[1], "seconds that a program runs", is_whole=False),
    "files": Bounds(0, MAX_FILES, "files of an item"),
    "bytes": Bounds(0, MAX_FILE_BYTES, "bytes of all files of an item"),
    "items_per_session": Bounds(1, MAX_ITEMS_PER_SESSION, "items that share a session"),
    "item_bytes": Bounds(1, MAX_ITEM_BYTES, "bytes of an item as JSON"),
    "timeout": Bounds(*TIMEOUT_SECONDS, "seconds"),
    "vcpus": Bounds(0.01, SESSION_VCPUS, "processors that a program uses", is_whole=False),
    "memory_gb": Bounds(0.01, SESSION_GB, "gigabytes, the peak memory of a session", is_whole=False),
    "calls_per_second": Bounds(1, MAX_CALLS_PER_SECOND, "calls of each session operation per second"),
    "live_sessions": Bounds(1, MAX_SESSIONS, "live sessions"),
    "concurrency": Bounds(2, MAX_SESSIONS, "reserved concurrency of the session function"),
    "regions": Bounds(1, MAX_REGIONS, "regions that share the batch"),
}
PROFILE_FIELDS = (
    "seconds",
    "files",
    "bytes",
    "collect_files",
    "items_per_session",
    "item_bytes",
    "timeout",
    "vcpus",
    "memory_gb",
)
"""What a profile can contain. The flags have the same names."""
_JOB = {
    "seconds": "program_seconds",
    "files": "files_per_item",
    "bytes": "bytes_per_item",
    "collect_files": "collects_files",
    "items_per_session": "items_per_session",
    "item_bytes": "item_bytes",
    "timeout": "timeout_seconds",
}
"""The attribute of the job for each field."""


@dataclass(frozen=True)
class Profile:
    """A job with what its sessions use.

    Attributes:
        job: The job.
        vcpus: Processors that a program uses while it runs.
        memory_gb: Peak memory of a session in gigabytes.
    """

    job: Job
    vcpus: float = LIST_PRICES.assumed_vcpus
    memory_gb: float = LIST_PRICES.assumed_gb


def checked(values: Mapping[str, object], place: Callable[[str], str]) -> dict[str, Any]:
    """Returns the values that are not None. Raises CliError for the first invalid one.

    Args:
        values: The values by field.
        place: Returns the name of a field for messages, such as its flag.
    """
    given = {name: value for name, value in values.items() if value is not None}
    for name, value in given.items():
        if name == "collect_files":
            if not isinstance(value, bool):
                raise CliError(f"{place(name)} is {value!r}; allowed: true | false")
        else:
            BOUNDS[name].check(place(name), value)
    return given


def read_profile(file: Path) -> dict[str, Any]:
    """Returns the fields of a YAML or JSON file. Raises CliError."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_PROFILE_BYTES + 1)
        if len(data) > MAX_PROFILE_BYTES:
            raise CliError(f"{file} is too large; allowed: {MAX_PROFILE_BYTES:,} bytes")
        content: object = YAML(typ="safe", pure=True).load(data.decode())
    except OSError as error:
        raise CliError(f"{file}: {error.strerror}; allowed: a file with {' | '.join(PROFILE_FIELDS)}") from None
    except (YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CliError(f"{file} is neither YAML nor JSON: {problem}") from None
    if not isinstance(content, dict):
        raise CliError(f"{file} is not a mapping; allowed: {' | '.join(PROFILE_FIELDS)}")
    fields = cast("dict[object, object]", content)
    for name in fields:
        if name not in PROFILE_FIELDS:
            raise CliError(f"{file}: {name!r} is unknown; allowed: {' | '.join(PROFILE_FIELDS)}")
    return checked(cast("dict[str, object]", fields), lambda name: f"{file}: {name}")


def profile_of(values: Mapping[str, Any]) -> Profile:
    """Returns the profile of checked values. Raises CliError if the program would exceed its timeout."""
    job = Job(**{_JOB[name]: value for name, value in values.items() if name in _JOB})
    if job.timeout_seconds is not None and job.program_seconds > job.timeout_seconds:
        raise CliError(
            f"seconds is {job.program_seconds:g} and timeout is {job.timeout_seconds}, so that every item would time "
            f"out; allowed: seconds up to {job.timeout_seconds}"
        )
    own = {name: values[name] for name in ("vcpus", "memory_gb") if name in values}
    return Profile(job, **own)
