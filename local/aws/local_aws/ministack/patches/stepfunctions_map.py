"""Distributed Maps: JSONata, ItemBatcher, paths and expressions in all fields, and stops.

MiniStack's own implementation supports JSONPath only, ignores ItemBatcher, and runs all items although the execution
was stopped or too many have failed.
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
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    Json = Any

MINISTACK_VERSION = "1.5.33"
MAX_THREADS = 64
"""Child executions at the same time if MaxConcurrency is 0. AWS starts up to 10,000."""
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
        execution: The record of its execution.
        processor: The item processor.
        record: The record that DescribeMapRun returns.
        failures: The number of items whose child execution failed.
    """

    state: MapState
    execution: dict[str, Json]
    processor: dict[str, Json]
    record: dict[str, Json]
    failures: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, inputs: Sequence[tuple[Json, int]]) -> list[Json]:
        """Runs a child execution for each input. Returns the outputs of those that succeeded, in order.

        Stops when the execution was stopped or more items have failed than are tolerated. Running child executions are
        aborted then; their tasks continue, but start nothing else.
        """
        outputs: list[Json] = [_NO_OUTPUT] * len(inputs)
        threads = int(self.record["maxConcurrency"]) or min(len(inputs), MAX_THREADS) or 1
        pool = ThreadPoolExecutor(threads)
        running: dict[Future[None], dict[str, Json]] = {}
        try:
            for index, (child_input, items) in enumerate(inputs):
                while len(running) == threads and self._is_going_on():
                    self._collect(running)
                if not self._is_going_on():
                    break
                child = self._child(child_input)
                self._count(items, pending=-1, running=1)
                context = contextvars.copy_context()
                future = pool.submit(context.run, self._run_child, child, child_input, items, outputs, index)
                running[future] = child
            while running and self._is_going_on():
                self._collect(running)
        finally:
            self._end(list(running.values()))
            pool.shutdown(wait=False, cancel_futures=True)
        if self.record["status"] == "FAILED":
            raise stepfunctions._ExecutionError(
                "States.ExceedToleratedFailureThreshold", "The specified tolerated failure threshold was exceeded"
            )
        return [output for output in outputs if output is not _NO_OUTPUT]

    def _is_going_on(self) -> bool:
        return self.execution["status"] == "RUNNING" and not self._exceeds()

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
        with self.lock:
            for child in running:
                child.update(status="ABORTED", stopDate=now_iso())
                self._count_locked(child["_items"], running=-1, aborted=1)
            if self.execution["status"] != "RUNNING":
                status = "ABORTED"
            else:
                status = "FAILED" if self._exceeds() else "SUCCEEDED"
            self.record.update(status=status, stopDate=now_iso())

    def _child(self, child_input: Json) -> dict[str, Json]:
        name, machine = new_uuid(), self.record["_stateMachineArn"]
        items = len(child_input["Items"]) if "ItemBatcher" in self.state.definition else 1
        child = {
            "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
            "stateMachineArn": machine,
            "name": name,
            "status": "RUNNING",
            "startDate": now_iso(),
            "stopDate": None,
            "input": json.dumps(child_input),
            "inputDetails": {"included": True},
            "output": None,
            "outputDetails": {"included": True},
            "mapRunArn": self.record["mapRunArn"],
            "events": [],
            "testCase": self.execution.get("testCase"),
            "mockAttempts": {},
            "_items": items,
        }
        stepfunctions._executions[child["executionArn"]] = child
        return child

    def _run_child(
        self, child: dict[str, Json], child_input: Json, items: int, outputs: list[Json], index: int
    ) -> None:
        context = copy.deepcopy(self.state.context)
        states, start_at = self.processor.get("States", {}), self.processor.get("StartAt")
        try:
            output = stepfunctions._run_sub_machine(states, start_at, child_input, child, context)
            change, outcome = {"status": "SUCCEEDED", "output": json.dumps(output)}, "succeeded"
        except stepfunctions._ExecutionError as error:
            output, outcome = _NO_OUTPUT, "failed"
            change = {"status": "FAILED", "error": error.error, "cause": error.cause}
        with self.lock:
            if child["status"] != "RUNNING":
                return
            outputs[index] = output
            child.update(change, stopDate=now_iso())
            self.failures += items if outcome == "failed" else 0
            self._count_locked(items, running=-1, **{outcome: 1})

    def _count(self, items: int, **changes: int) -> None:
        with self.lock:
            self._count_locked(items, **changes)

    def _count_locked(self, items: int, **changes: int) -> None:
        for name, change in changes.items():
            self.record["executionCounts"][name] += change
            self.record["itemCounts"][name] += change * items


def run_distributed_map(
    definition: Json, raw_input: Json, effective: Json, processor: Json, execution: Json, context: Json
) -> tuple[Json, str | None]:
    """Runs a Distributed Map. Replaces MiniStack's function with the same parameters and result."""
    state = MapState(definition, raw_input, effective, context)
    inputs = state.child_inputs()
    machine = execution["stateMachineArn"]
    label = definition.get("Label") or new_uuid()
    items = sum(each for _, each in inputs)

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
        "itemCounts": counts(items),
        "executionCounts": counts(len(inputs)),
        "redriveCount": 0,
        "_stateMachineArn": f"{machine}/{label}",
    }
    stepfunctions._map_runs[record["mapRunArn"]] = record
    result = MapRun(state, execution, processor, record).run(inputs)
    if state.is_jsonata:
        output = stepfunctions._apply_jsonata_output(definition, raw_input, context, result=result, default=result)
        stepfunctions._apply_state_assign(definition, raw_input, context, result=result)
        return output, stepfunctions._next_or_end(definition)
    selected = stepfunctions._apply_result_selector(definition, result)
    output = stepfunctions._apply_result_path(definition, raw_input, selected)
    return stepfunctions._apply_output_path(definition, output, context), stepfunctions._next_or_end(definition)
