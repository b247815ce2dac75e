"""What a simulated batch depends on: its job, the limits of the account and of the tenant, and the service times."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Literal, Protocol

from code_runner.agentcore.limits import LISTED_CONTENT_BYTES
from code_runner.batches.finishing import RESERVE_SECONDS as FINISH_RESERVE_SECONDS
from code_runner.operations import CLEANUP_SECONDS
from sandpiper.environment.batch_limits import pacing_seconds
from sandpiper_contract.batches import CHILD_INPUT_BYTES, MAX_CONCURRENCY

if TYPE_CHECKING:
    from random import Random

ITEM_OVERHEAD_BYTES = 40
"""What `prepare_batch` adds to an item: its index and the names of two fields."""
MIB_PER_VCPU = 1_769
"""Memory with which a function has one processor. https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""

UNRESERVED = 100
"""Executions of an account that cannot be reserved.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""


class Duration(Protocol):
    """A random duration in seconds."""

    @property
    def mean(self) -> float:
        """The mean in seconds."""
        ...

    def draw(self, random: Random) -> float:
        """Returns a random duration in seconds."""
        ...


@dataclass(frozen=True)
class Span:
    """A duration that is uniformly distributed between two values, in seconds."""

    low: float
    high: float

    @classmethod
    def exactly(cls, seconds: float) -> Span:
        """Returns a duration that is always the same."""
        return cls(seconds, seconds)

    @property
    def mean(self) -> float:
        """The mean in seconds."""
        return (self.low + self.high) / 2

    def draw(self, random: Random) -> float:
        """Returns a random duration in seconds."""
        return self.low + (self.high - self.low) * random.random()


@dataclass(frozen=True, kw_only=True)
class ServiceTimes:
    """How long AWS takes for each step. The defaults of AgentCore are published, the others are assumptions.

    Attributes:
        child: Start of a child execution by the Distributed Map, until its function is invoked.
        cold_start: Start of an execution environment of the function.
        invocation: An invocation of the function apart from its items, with reading the request of the batch.
        start: Start of a session. Published.
        call: A call that runs a trivial program, apart from the program's own time. Published.
        write: Writing the files of an item. Published for writeFiles.
        collect: Collecting the files of an item.
        stop: Stop of a session. Published.
        throttled: A call until its rejection.
        put: A small object that the function writes to S3.
        transfer_bytes_per_second: Transfer of large files between a sandbox and S3.
        item_cpu: Processor time of the function for an item. Measured by `make bench ARGS=runtime`.
        prepare_cpu: Processor time of the function for validating and writing an item. Measured.
        finish_cpu: Processor time of the function for reading a record and writing its result. Measured without TLS,
            with a third added for it.
        finish_read: Time between two records that arrive, when 32 are read at a time.
    """

    child: Duration = Span(0.1, 0.4)
    cold_start: Duration = Span(0.6, 1.2)
    invocation: Duration = Span(0.06, 0.16)
    start: Duration = Span(0.8, 1.7)
    call: Duration = Span(0.07, 0.24)
    write: Duration = Span(0.14, 0.14)
    collect: Duration = Span(0.07, 0.24)
    stop: Duration = Span(0.17, 0.17)
    throttled: Duration = Span(0.02, 0.06)
    put: Duration = Span(0.02, 0.08)
    transfer_bytes_per_second: float = 50e6
    item_cpu: float = 0.0206
    prepare_cpu: float = 10e-6
    finish_cpu: float = 1e-3
    finish_read: float = 1e-3


@dataclass(frozen=True, kw_only=True)
class Job:
    """What each item of a batch does.

    Attributes:
        program_seconds: How long the program runs.
        files_per_item: The number of files of an item.
        bytes_per_item: The total size of the files of an item in bytes.
        collects_files: Whether files are collected. False for `outputs.paths: []`.
        items_per_session: How many items share a session; None for a session each.
        item_bytes: The size of an item as JSON in bytes.
        timeout_seconds: `timeoutSeconds` of the request; None for the default.
    """

    program_seconds: float = 1.0
    files_per_item: int = 1
    bytes_per_item: int = 10_000
    collects_files: bool = True
    items_per_session: int | None = None
    item_bytes: int = 200
    timeout_seconds: int | None = None

    @property
    def transfers_files(self) -> bool:
        """Whether the files are too large for the collecting call, and are transferred by a further one."""
        return self.collects_files and self.bytes_per_item > LISTED_CONTENT_BYTES

    @property
    def calls(self) -> int:
        """Calls of InvokeCodeInterpreter for an item: write `item.json`, run, collect files, transfer large ones."""
        return 2 + self.collects_files + self.transfers_files

    @property
    def stored_files(self) -> int:
        """Files of an item that are stored in S3."""
        return self.files_per_item if self.collects_files else 0

    @property
    def items_per_child(self) -> int:
        """Items of a child execution, whose input has a maximum size."""
        fitting = CHILD_INPUT_BYTES // (self.item_bytes + ITEM_OVERHEAD_BYTES)
        return max(min(self.items_per_session or 1, fitting), 1)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The quotas of an account in one region, and the function of the tenant.

    Attributes:
        calls_per_second: Quota of calls of each session operation per second.
        live_sessions: Quota of live sessions.
        functions_at_once: Quota of concurrent executions of Lambda functions.
        reserved_concurrency: Reserved concurrency of the session function of the tenant.
        other_sessions: Reserved concurrency of other tenants with batches, which share the quota of calls.
        map_concurrency: Maximum number of concurrent child executions.
        transitions_per_second: Quota of state transitions of standard workflows per second.
        function_seconds: Timeout of the function in seconds.
        memory_mib: Memory of the function in MiB.
        architecture: Architecture of the function.
        regions: The number of regions that share the batch, each with the same quotas.
    """

    calls_per_second: float = 30
    live_sessions: int = 1_000
    functions_at_once: int = 1_000
    reserved_concurrency: int = 25
    other_sessions: int = 0
    map_concurrency: int = MAX_CONCURRENCY
    transitions_per_second: float = 5_000
    function_seconds: int = 900
    memory_mib: int = 512
    architecture: Literal["arm64", "x86_64"] = "arm64"
    regions: int = 1

    @property
    def workers(self) -> int:
        """Child executions that run at the same time. One invocation remains for preparing and finishing batches."""
        return min(max(self.reserved_concurrency - 1, 1), self.map_concurrency)

    @property
    def pacing_seconds(self) -> float:
        """The least time between two calls to a session."""
        return pacing_seconds(self.reserved_concurrency + self.other_sessions, self.calls_per_second)

    @property
    def max_concurrency(self) -> int:
        """The largest reserved concurrency that the quotas allow. Lambda keeps 100 executions unreserved."""
        return min(self.live_sessions, self.functions_at_once - UNRESERVED) - self.other_sessions

    @property
    def vcpus(self) -> float:
        """Processors of the function, which uses one thread."""
        return min(self.memory_mib / MIB_PER_VCPU, 1)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A batch to simulate."""

    items: int
    job: Job = field(default_factory=Job)
    limits: Limits = field(default_factory=Limits)
    times: ServiceTimes = field(default_factory=ServiceTimes)

    @property
    def items_of_region(self) -> int:
        """Items of each region."""
        return ceil(self.items / self.limits.regions)

    @property
    def prepare_seconds(self) -> float:
        """Duration of `prepare_batch`, which reads all items in one invocation."""
        times, items = self.times, self.items_of_region
        return times.cold_start.mean + times.invocation.mean + items * times.prepare_cpu / self.limits.vcpus

    @property
    def finish_seconds(self) -> float:
        """Duration of all invocations of `finish_batch`, which run one after another."""
        times = self.times
        item = max(times.finish_cpu / self.limits.vcpus, times.finish_read)
        return times.invocation.mean + self.items_of_region * item

    @property
    def finish_invocations(self) -> int:
        """Invocations of `finish_batch`, each with the time of one function."""
        usable = self.limits.function_seconds - CLEANUP_SECONDS - FINISH_RESERVE_SECONDS
        return max(ceil(self.finish_seconds / usable), 1)
