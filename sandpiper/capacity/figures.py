"""The figures of a simulated batch, and the counts of a real one that they can be compared with."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

EVENTS_OF_TASK = 5
"""History events of a task: entered, scheduled, started, succeeded, exited."""
EVENTS_OF_STATE = 2
"""History events of any other state that succeeds: entered, exited."""
EVENTS_OF_EXECUTION = 2
"""History events of any execution that succeeds: started, succeeded."""
EVENTS_OF_MAP = 4
"""History events of a Distributed Map: entered, run started, run succeeded, exited."""
EVENTS_OF_RETRY = 3
"""History events of a failed attempt of a task: failed, and the next scheduled and started."""
CHILD_STATES, STATES_OF_FURTHER_INVOCATION = 3, 2
"""States of a child execution with one invocation: `RunItems`, `Do items remain?` and `Ended`."""
CHILD_EVENTS = EVENTS_OF_EXECUTION + EVENTS_OF_TASK + 2 * EVENTS_OF_STATE
EVENTS_OF_FURTHER_INVOCATION = EVENTS_OF_TASK + EVENTS_OF_STATE
PARENT_STATES = 5
"""States of the batch's own execution: prepare, items, finish, `Is everything written?` and `Done`."""
PARENT_EVENTS = EVENTS_OF_EXECUTION + 2 * EVENTS_OF_TASK + EVENTS_OF_MAP + 2 * EVENTS_OF_STATE


@dataclass(kw_only=True)
class Counts:
    """What the child executions of a batch use. All are sums, so that they can be scaled.

    Attributes:
        items: Items.
        children: Child executions.
        invocations: Invocations of the function that run items.
        calls: Accepted calls of InvokeCodeInterpreter.
        starts: Accepted starts of sessions.
        stops: Accepted stops of sessions.
        throttled: Rejected calls of all three operations.
        retries: Attempts of tasks after throttled ones.
        transitions: State transitions.
        events: History events.
        s3_writes: Requests of S3 that write or list.
        s3_reads: Requests of S3 that read.
        function_seconds: Duration of all invocations.
        session_seconds: Duration of all sessions.
        waited_seconds: Time in sessions in which their calls waited for their pace.
    """

    items: int = 0
    children: int = 0
    invocations: int = 0
    calls: int = 0
    starts: int = 0
    stops: int = 0
    throttled: int = 0
    retries: int = 0
    transitions: int = 0
    events: int = 0
    s3_writes: int = 0
    s3_reads: int = 0
    function_seconds: float = 0.0
    session_seconds: float = 0.0
    waited_seconds: float = 0.0

    def scaled(self, factor: float) -> Counts:
        """Returns the counts multiplied by a factor. Whole numbers are rounded."""
        values = {each.name: getattr(self, each.name) * factor for each in fields(self)}
        return Counts(**{name: value if name.endswith("seconds") else round(value) for name, value in values.items()})


@dataclass(frozen=True, kw_only=True)
class Figures:
    """A simulated batch.

    Attributes:
        counts: What its child executions use, in all regions.
        prepare_seconds: From its start to its first child execution.
        run_seconds: From its first child execution to the end of the last.
        finish_seconds: From the last child execution to the results.
        finish_invocations: Invocations that write the results, in each region.
        regions: The number of regions.
        simulated_items: The number of items that were simulated in one region. Fewer than `counts.items` if the rest
            is extrapolated.
        items_per_second: Items of the steady state in one region per second.
        throttled_per_item: Rejected calls of the steady state for an item.
    """

    counts: Counts
    prepare_seconds: float
    run_seconds: float
    finish_seconds: float
    finish_invocations: int
    regions: int
    simulated_items: int
    items_per_second: float
    throttled_per_item: float

    @property
    def seconds(self) -> float:
        """From the start to the results."""
        return self.prepare_seconds + self.run_seconds + self.finish_seconds

    @property
    def throughput(self) -> float:
        """Items per second, from the start to the results."""
        return self.counts.items / self.seconds

    @property
    def throttled_percent(self) -> float:
        """Rejected calls in percent of all calls."""
        sent = self.counts.calls + self.counts.starts + self.counts.stops + self.counts.throttled
        return 100 * self.counts.throttled / sent

    @property
    def transitions(self) -> int:
        """State transitions of all executions."""
        own = PARENT_STATES + STATES_OF_FURTHER_INVOCATION * (self.finish_invocations - 1)
        return self.counts.transitions + own * self.regions

    @property
    def parent_events(self) -> int:
        """History events of the batch's own execution in each region. Step Functions allows 25,000."""
        return PARENT_EVENTS + EVENTS_OF_FURTHER_INVOCATION * (self.finish_invocations - 1)

    @property
    def events(self) -> int:
        """History events of all executions."""
        return self.counts.events + self.parent_events * self.regions

    @property
    def function_seconds(self) -> float:
        """Duration of all invocations, also of those that prepare and finish the batch."""
        return self.counts.function_seconds + (self.prepare_seconds + self.finish_seconds) * self.regions

    def in_regions(self, regions: int) -> Figures:
        """Returns the figures of this many regions that each run such a batch."""
        return replace(self, counts=self.counts.scaled(regions), regions=regions)
