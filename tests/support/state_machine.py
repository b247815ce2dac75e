"""Interprets a state machine in JSONata with virtual time, and counts the events of its history as AWS does.

It tries every error at every state in milliseconds. The tests of tests/local run the same definitions on the embedded
AWS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from jsonata import Jsonata
from jsonata.utils import Utils

if TYPE_CHECKING:
    from collections.abc import Mapping

NULL: Any = Utils.NULL_VALUE
STATE_BYTES = 262_144
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""
MAX_VISITS = 5_000


class TaskError(Exception):
    """A task that failed with an error name and a cause."""

    def __init__(self, name: str, cause: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.cause = cause


class Tasks(Protocol):
    """What the tasks of a state machine do."""

    def run(self, state: str, arguments: Any, timeout_seconds: float, machine: StateMachine) -> Any:
        """Returns the result of a task. Raises TaskError."""
        ...


@dataclass
class StateMachine:
    """One execution of a definition.

    Attributes:
        now: The virtual time in seconds since 1970.
        events: The number of events in the history.
        visited: The names of the states, in order.
        error: The error and the cause of a failed execution.
    """

    definition: Mapping[str, Any]
    tasks: Tasks
    now: float = 1_800_000_000
    events: int = 2
    visited: list[str] = field(default_factory=list[str])
    variables: dict[str, Any] = field(default_factory=dict[str, Any])
    error: tuple[str, str] | None = None
    children: list[StateMachine] = field(default_factory=list["StateMachine"])
    """The child executions of a Distributed Map, in order."""
    stop_in: str | None = None
    """Abort the execution when it enters this state."""

    def execute(self, input_: Any) -> Any:
        """Runs the execution to its end and returns its output. Sets `error` and returns None if it fails."""
        name, value = self.definition["StartAt"], input_
        while name is not None:
            self.visited.append(name)
            assert len(self.visited) < MAX_VISITS, self.visited[-10:]
            if name == self.stop_in:
                self.error = ("ABORTED", "")
                return None
            state = self.definition["States"][name]
            self.events += 2
            context = self._context(name)
            match state["Type"]:
                case "Fail":
                    self.events -= 1
                    self.error = tuple(self._value(state[key], value, context) for key in ("Error", "Cause"))  # pyright: ignore[reportAttributeAccessIssue]
                    assert all(isinstance(part, str) for part in self.error)
                    assert len(self.error[1]) <= 32_768
                    return None
                case "Succeed":
                    name = None
                case "Wait":
                    seconds = self._value(state["Seconds"], value, context)
                    assert isinstance(seconds, int)
                    assert seconds >= 0
                    self.now += seconds
                    value, name = self._leave(state, value, context), state["Next"]
                case "Pass":
                    value, name = self._leave(state, value, context), state["Next"]
                case "Choice":
                    rules = (rule for rule in state["Choices"] if self._is_true(rule["Condition"], value, context))
                    rule = next(rules, {**state, "Next": state["Default"]})
                    value, name = self._leave(rule, value, context), rule["Next"]
                case "Task":
                    value, name = self._task(state, value, context)
                case "Map":
                    value, name = self._distributed_map(state, value, context)
                case other:
                    raise NotImplementedError(other)
            assert len(json.dumps(value)) <= STATE_BYTES
        return value

    def _task(self, state: Mapping[str, Any], value: Any, context: dict[str, Any]) -> tuple[Any, str | None]:
        attempts = dict[int, int]()
        while True:
            self.events += 3
            context["State"]["RetryCount"] = sum(attempts.values())
            try:
                arguments = self._value(state["Arguments"], value, context)
                timeout = self._value(state["TimeoutSeconds"], value, context)
                result = self.tasks.run(context["State"]["Name"], arguments, timeout, self)
                return self._leave(state, value, context, result=result, default=result), state.get("Next")
            except TaskError as error:
                index = _matching(state.get("Retry", []), error.name)
                if index is not None and attempts.get(index, 0) < state["Retry"][index]["MaxAttempts"]:
                    attempts[index] = attempts.get(index, 0) + 1
                    self.now += 2 ** attempts[index]
                    continue
                index = _matching(state.get("Catch", []), error.name)
                output = {"Error": error.name, **({"Cause": error.cause} if error.cause else {})}
                if index is None:
                    self.error = (error.name, error.cause)
                    return None, None
                catcher = state["Catch"][index]
                return self._leave(catcher, value, context, error=output, default=output), catcher["Next"]

    def _distributed_map(self, state: Mapping[str, Any], value: Any, context: Any) -> tuple[Any, str | None]:
        """Runs a child execution for each group of items, one after another, until too many items have failed.

        https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
        """
        items: list[Any] = self.tasks.run(
            context["State"]["Name"], self._value(state["ItemReader"]["Arguments"], value, context), 0, self
        )
        batcher = self._value(state["ItemBatcher"], value, context)
        size, failed = batcher["MaxItemsPerBatch"], 0
        count = self._value(state["ToleratedFailureCount"], value, context)
        percentage = self._value(state["ToleratedFailurePercentage"], value, context)
        assert self._value(state["MaxConcurrency"], value, context) > 0
        for start in range(0, len(items), size):
            group = items[start : start + size]
            child = StateMachine({**self.definition, **state["ItemProcessor"]}, self.tasks, now=self.now)
            child.execute({"BatchInput": batcher["BatchInput"], "Items": group})
            self.now, self.children = child.now, [*self.children, child]
            failed += len(group) if child.error else 0
            if failed > count or failed * 100 > percentage * len(items):
                self.error = ("States.ExceedToleratedFailureThreshold", "")
                return None, None
        return self._leave(state, value, context), state["Next"]

    def _leave(
        self,
        state: Mapping[str, Any],
        value: Any,
        context: Any,
        *,
        result: Any = None,
        error: Any = None,
        default: Any = None,
    ) -> Any:
        """Returns the output of a state and sets its variables, all from the values before."""
        output = value if default is None else default
        if "Output" in state:
            output = self._value(state["Output"], value, context, result, error)
        assigned = {
            name: self._value(template, value, context, result, error)
            for name, template in state.get("Assign", {}).items()
        }
        assert len(json.dumps(assigned)) <= STATE_BYTES
        self.variables |= assigned
        return output

    def _is_true(self, condition: str, value: Any, context: Any) -> bool:
        answer = self._value(condition, value, context)
        assert isinstance(answer, bool), condition
        return answer

    def _context(self, name: str) -> dict[str, Any]:
        return {
            "Execution": {
                "Id": "arn:aws:states:eu-west-1:123456789012:execution:w:1",
                "StartTime": "t",
                "RedriveCount": 0,
            },
            "State": {"Name": name, "EnteredTime": "2026-11-30T09:00:00.000Z", "RetryCount": 0},
            "Task": {"Token": "token"},
        }

    def _value(self, template: Any, value: Any, context: Any, result: Any = None, error: Any = None) -> Any:
        match template:
            case str() if template.startswith("{%"):
                states = {"input": value, "result": result, "errorOutput": error, "context": context}
                return self._evaluate(template[2:-2].strip(), states)
            case dict():
                members: dict[str, Any] = template  # pyright: ignore[reportUnknownVariableType]
                return {name: self._value(each, value, context, result, error) for name, each in members.items()}
            case list():
                items: list[Any] = template  # pyright: ignore[reportUnknownVariableType]
                return [self._value(each, value, context, result, error) for each in items]
            case _:
                return template

    def _evaluate(self, text: str, states: dict[str, Any]) -> Any:
        bindings: dict[str, Any] = {name: NULL if value is None else value for name, value in self.variables.items()}
        bindings |= {"states": states, "clock": int(self.now * 1000)}
        expression = text.replace("$millis()", "$clock")

        def evaluate(of: str) -> Any:
            compiled = Jsonata.jsonata(of)
            compiled.register_lambda("parse", json.loads)
            return compiled.evaluate(None, bindings)

        found = evaluate(expression)
        assert found is not None or evaluate(f"$exists(({expression}))"), f"{text} returned nothing"
        return json.loads(json.dumps(found))  # variables have no identity


def _matching(entries: list[dict[str, Any]], error: str) -> int | None:
    names = ({error, "States.ALL"} & set(entry["ErrorEquals"]) for entry in entries)
    return next((index for index, found in enumerate(names) if found), None)
