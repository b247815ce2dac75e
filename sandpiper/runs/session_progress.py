"""Finds the finished steps of a running session in the states of its execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sandpiper.runs.executions import is_result
from sandpiper_contract.workflows import AWAIT_APPROVAL_STATE, RECORD_ERROR_STATE, RUN_STEP_STATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper.runs.history import Step


@dataclass(frozen=True)
class FinishedStep:
    """A step of a session that has ended.

    Attributes:
        index: the number of the step, from 0.
        result: its result; None if it has an error.
        error: the name and the message of its error; empty without one.
    """

    index: int
    result: Mapping[str, Any] | None
    error: str = ""


def finished_steps(states: Sequence[Step]) -> list[FinishedStep]:
    """Returns the finished steps of a session, in their order.

    Args:
        states: the visited states of the execution.
    """
    found: list[FinishedStep] = []
    error = ""
    for state in states:
        if state.name == RUN_STEP_STATE:
            failed = [attempt for attempt in state.attempts if attempt.error]
            error = f"{failed[-1].error}: {failed[-1].message}" if failed else ""
            if is_result(state.output):
                found.append(FinishedStep(len(found), cast("dict[str, Any]", state.output)))
        elif state.name == RECORD_ERROR_STATE and state.exited is not None:
            found.append(FinishedStep(len(found), None, error))
    return found


def waits_for_approval(states: Sequence[Step]) -> bool:
    """Returns whether the session waits for the answer to an approval."""
    return bool(states) and states[-1].name == AWAIT_APPROVAL_STATE and states[-1].exited is None
