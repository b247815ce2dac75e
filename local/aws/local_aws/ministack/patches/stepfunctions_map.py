"""Distributed Maps: JSONata, ItemBatcher, paths and expressions in all fields, stops and redrives.

MiniStack's own implementation supports JSONPath only, ignores ItemBatcher, runs all items although the execution was
stopped or too many have failed, and cannot run the failed ones again.
https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import contextvars
import copy
import json
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

from local_aws.ministack.patches import stepfunctions_outcomes as outcomes
from local_aws.ministack.patches import stepfunctions_states as states

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from local_aws.ministack.patches.stepfunctions_outcomes import Attempt

    Json = Any

MINISTACK_VERSION = "1.5.33"
MAX_THREADS = 64
"""Child executions at the same time if MaxConcurrency is 0. AWS starts up to 10,000."""
MAX_EXPRESS_SECONDS = 300
POLL_SECONDS = 0.2
"""How often a Map looks whether its execution was stopped."""
MAX_INPUT_BYTES = 262_144
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
_NO_OUTPUT = object()
COUNTS = (
    "pending",
    "running",
    "succeeded",
    "failed",
    "timedOut",
    "aborted",
    "total",
    "resultsWritten",
    "failuresNotRedrivable",
    "pendingRedrive",
)


@dataclass
class MapState:
    """A Map state with its input, whose fields can be values, paths or JSONata expressions."""

    definition: dict[str, Json]
    raw_input: Json
    effective: Json
    context: dict[str, Json]

    @property
    def is_jsonata(self) -> bool:
        """Whether the state uses JSONata."""
        return stepfunctions._state_query_language(self.definition, self.context) == "JSONata"

    def resolve(self, template: Json, context: dict[str, Json] | None = None) -> Json:
        """Returns a template with the values of its expressions or paths."""
        if self.is_jsonata:
            return stepfunctions._apply_jsonata_template(template, self.raw_input, context or self.context)
        return stepfunctions._resolve_params_obj(template, self.effective, context or self.context)

    def number(self, fields: dict[str, Json], name: str) -> float | None:
        """Returns the value of a number, of its path or of its expression; None if it is absent."""
        if f"{name}Path" in fields and not self.is_jsonata:
            value = stepfunctions._resolve_path_or_ctx(fields[f"{name}Path"], self.effective, self.context)
        elif name not in fields:
            return None
        else:
            value = self.resolve(fields[name]) if self.is_jsonata else fields[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise stepfunctions._ExecutionError(
                "States.Runtime", f"The field '{name}' must be a number, but is {value!r}"
            )
        return value

    def items(self) -> list[Json]:
        """Returns the items of the dataset."""
        reader = self.definition.get("ItemReader")
        if reader and self.is_jsonata:
            # `_read_map_items` resolves paths, of which the values have none.
            resolved = {"Parameters": self.resolve(reader.get("Arguments", {}))}
            items = stepfunctions._read_map_items({**reader, **resolved}, self.effective, self.context)
        elif reader:
            items = stepfunctions._read_map_items(reader, self.effective, self.context)
        elif self.is_jsonata and "Items" in self.definition:
            items = self.resolve(self.definition["Items"])
        else:
            path = self.definition.get("ItemsPath", "$")
            items = stepfunctions._resolve_path_or_ctx(path, self.effective, self.context)
        if not isinstance(items, list):
            raise stepfunctions._ExecutionError("States.Runtime", "The items of the Map are not an array")
        return items

    def child_inputs(self) -> list[tuple[Json, int]]:
        """Returns the input of each child execution and its number of items."""
        selector = self.definition.get("ItemSelector") or self.definition.get("Parameters")
        selected: list[Json] = []
        for index, item in enumerate(self.items()):
            if selector:
                context = {**self.context, "Map": {"Item": {"Index": index, "Value": item}}}
                selected.append(self.resolve(selector, context))
            else:
                selected.append(item)
        batcher = self.definition.get("ItemBatcher")
        if batcher is None:
            return [(item, 1) for item in selected]
        max_items = int(self.number(batcher, "MaxItemsPerBatch") or len(selected) or 1)
        max_bytes = int(self.number(batcher, "MaxInputBytesPerBatch") or MAX_INPUT_BYTES)
        common = {"BatchInput": self.resolve(batcher["BatchInput"])} if "BatchInput" in batcher else {}
        return [({**common, "Items": group}, len(group)) for group in _groups(selected, max_items, max_bytes)]


def _groups(items: Sequence[Json], max_items: int, max_bytes: int) -> Iterator[list[Json]]:
    group: list[Json] = []
    size = 0
    for item in items:
        added = len(json.dumps(item).encode())
        if group and (len(group) == max_items or size + added > max_bytes):
            yield group
            group, size = [], 0
        group.append(item)
        size += added
    if group:
        yield group


@dataclass
class MapRun:
    """A run of a Distributed Map. Its child executions run in threads.

    Attributes:
        state: The Map state.
        attempt: The attempt of its execution.
        processor: The item processor.
        record: The record that DescribeMapRun returns. `_inputs` has the input of each child execution and its number
            of items, and `_children` the child execution, or None if it has not started.
        failures: The number of items whose child execution failed.
    """

    state: MapState
    attempt: Attempt
    processor: dict[str, Json]
    record: dict[str, Json]
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> list[Json]:
        """Runs a child execution for each input. Returns the outputs of those that succeeded, in order.

        Stops when the execution has ended or more items have failed than are tolerated. Running child executions are
        aborted then; their tasks continue, but start nothing else. A redrive runs those that have not succeeded.
        """
        inputs: list[tuple[Json, int]] = self.record["_inputs"]
        children: list[dict[str, Json] | None] = self.record["_children"]
        threads = int(self.record["maxConcurrency"]) or min(len(inputs), MAX_THREADS) or 1
        pool = ThreadPoolExecutor(threads)
        running: dict[Future[None], dict[str, Json]] = {}
        try:
            for index, (child_input, items) in enumerate(inputs):
                earlier = children[index]
                if earlier is not None and earlier["status"] == "SUCCEEDED":
                    continue
                while len(running) == threads and self._is_going_on():
                    self._collect(running)
                if not self._is_going_on():
                    break
                child = earlier or self._child(child_input, items)
                children[index] = child
                self._begin(child, is_redriven=earlier is not None)
                context = contextvars.copy_context()
                running[pool.submit(context.run, self._run_child, child, child_input)] = child
            while running and self._is_going_on():
                self._collect(running)
        finally:
            self._end(list(running.values()))
            pool.shutdown(wait=False, cancel_futures=True)
        self.attempt.require_running()
        if self.record["status"] == "FAILED":
            raise stepfunctions._ExecutionError(
                "States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded"
            )
        return [json.loads(child["output"]) for child in children if child and child["status"] == "SUCCEEDED"]

    def _is_going_on(self) -> bool:
        return self.attempt.is_running and not self._exceeds()

    def _exceeds(self) -> bool:
        """Without a threshold, the first failure exceeds it."""
        count, percentage = self.record["toleratedFailureCount"], self.record["toleratedFailurePercentage"]
        total = self.record["itemCounts"]["total"]
        has_count = any(name.startswith("ToleratedFailureCount") for name in self.state.definition)
        has_percentage = any(name.startswith("ToleratedFailurePercentage") for name in self.state.definition)
        if not has_count and not has_percentage:
            return self.failures > 0
        return (has_count and self.failures > count) or (has_percentage and self.failures * 100 > percentage * total)

    def _collect(self, running: dict[Future[None], dict[str, Json]]) -> None:
        done, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            del running[future]
            future.result()

    def _end(self, running: Sequence[dict[str, Json]]) -> None:
        for child in running:
            if outcomes.Attempt(child, outcomes.redrive_count(child)).end("ABORTED"):
                self._count(child, running=-1, aborted=1)
        is_running = self.attempt.is_running
        status = "ABORTED" if not is_running else "FAILED" if self._exceeds() else "SUCCEEDED"
        name = f"MapRun{status.capitalize()}"
        if is_running:
            stepfunctions._add_event(self.attempt.record, name, {f"m{name[1:]}EventDetails": {}})
        self.record.update(status=status, stopDate=now_iso())

    def _child(self, child_input: Json, items: int) -> dict[str, Json]:
        name, machine = new_uuid(), self.record["_stateMachineArn"]
        execution_input, started = json.dumps(child_input), now_iso()
        details = {"input": execution_input, "roleArn": self.state.context["Execution"]["RoleArn"]}
        event = {"id": 1, "type": "ExecutionStarted", "timestamp": started, "executionStartedEventDetails": details}
        child: dict[str, Json] = {
            "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": machine,
            "name": name,
            "status": "RUNNING",
            "startDate": started,
            "stopDate": None,
            "input": execution_input,
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "mapRunArn": self.record["mapRunArn"],
            "events": [event],
            "testCase": self.attempt.record.get("testCase"),
            "mockAttempts": {},
            "express": self.processor["ProcessorConfig"].get("ExecutionType") == "EXPRESS",
            "_items": items,
        }
        stepfunctions._executions[child["executionArn"]] = child
        return child

    def _begin(self, child: dict[str, Json], *, is_redriven: bool) -> None:
        if is_redriven:
            self._count(child, **{_COUNTED[child["status"]]: -1, "running": 1})
            states.begin_redrive(child)
        else:
            self._count(child, pending=-1, running=1)
        outcomes.emit_status_event(child)

    def _run_child(self, child: dict[str, Json], child_input: Json) -> None:
        attempt = outcomes.Attempt(child, outcomes.redrive_count(child))
        limit = MAX_EXPRESS_SECONDS if child["express"] else None
        try:
            with outcomes.limited(attempt, limit):
                context = copy.deepcopy(self.state.context)
                output = states.run_child_execution(self.processor, child_input, child, context)
            ended = attempt.end("SUCCEEDED", output=json.dumps(output))
        except stepfunctions._ExecutionError as error:
            ended = attempt.end("FAILED", error=error.error, cause=error.cause)
        if ended or child["status"] == "TIMED_OUT":
            self._count(child, **{"running": -1, _COUNTED[child["status"]]: 1})
            if child["status"] == "SUCCEEDED":
                del child["_progress"]
            else:
                self.failures += child["_items"]

    def _count(self, child: dict[str, Json], **changes: int) -> None:
        with self.lock:
            for name, change in changes.items():
                self.record["executionCounts"][name] += change
                self.record["itemCounts"][name] += change * child["_items"]


_COUNTED = {"SUCCEEDED": "succeeded", "FAILED": "failed", "TIMED_OUT": "timedOut", "ABORTED": "aborted"}


def _redriven(execution: dict[str, Json]) -> dict[str, Json] | None:
    """Returns the record of an unsuccessful run of the same visit of the Map, which a redrive continues, or None."""
    visit = states.current_path()
    for record in list(stepfunctions._map_runs.values()):
        if record["executionArn"] == execution["executionArn"] and record["_visit"] == visit:
            while record["status"] == "RUNNING":  # its thread has not seen yet that the attempt has ended
                time.sleep(POLL_SECONDS)
            record.update(status="RUNNING", redriveCount=record["redriveCount"] + 1, redriveDate=now_iso())
            details = {"mapRunArn": record["mapRunArn"], "redriveCount": record["redriveCount"]}
            stepfunctions._add_event(execution, "MapRunRedriven", {"mapRunRedrivenEventDetails": details})
            return record
    return None


def _new_record(state: MapState, execution: dict[str, Json]) -> dict[str, Json]:
    machine, definition, inputs = execution["stateMachineArn"], state.definition, state.child_inputs()
    label = definition.get("Label") or new_uuid()

    def counts(total: int) -> dict[str, int]:
        return {**dict.fromkeys(COUNTS, 0), "total": total, "pending": total}

    record: dict[str, Json] = {
        "mapRunArn": f"{machine.replace(':stateMachine:', ':mapRun:')}/{label}:{new_uuid()}",
        "executionArn": execution["executionArn"],
        "status": "RUNNING",
        "startDate": now_iso(),
        "maxConcurrency": int(state.number(definition, "MaxConcurrency") or 0),
        "toleratedFailurePercentage": float(state.number(definition, "ToleratedFailurePercentage") or 0),
        "toleratedFailureCount": int(state.number(definition, "ToleratedFailureCount") or 0),
        "itemCounts": counts(sum(items for _, items in inputs)),
        "executionCounts": counts(len(inputs)),
        "redriveCount": 0,
        "_stateMachineArn": f"{machine}/{label}",
        "_visit": states.current_path(),
        "_inputs": inputs,
        "_children": [None] * len(inputs),
    }
    stepfunctions._map_runs[record["mapRunArn"]] = record
    details = {"mapRunArn": record["mapRunArn"]}
    stepfunctions._add_event(execution, "MapRunStarted", {"mapRunStartedEventDetails": details})
    return record


def run_distributed_map(
    definition: Json, raw_input: Json, effective: Json, processor: Json, execution: Json, context: Json
) -> tuple[Json, str | None]:
    """Runs a Distributed Map. Replaces MiniStack's function with the same parameters and result."""
    state = MapState(definition, raw_input, effective, context)
    attempt = outcomes.current_attempt(execution)
    record = _redriven(execution) or _new_record(state, execution)
    result = MapRun(state, attempt, processor, record).run()
    if state.is_jsonata:
        output = stepfunctions._apply_jsonata_output(definition, raw_input, context, result=result, default=result)
        stepfunctions._apply_state_assign(definition, raw_input, context, result=result)
        return output, stepfunctions._next_or_end(definition)
    selected = stepfunctions._apply_result_selector(definition, result)
    output = stepfunctions._apply_result_path(definition, raw_input, selected)
    return stepfunctions._apply_output_path(definition, output, context), stepfunctions._next_or_end(definition)
