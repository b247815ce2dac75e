"""A session function for the interpreter of state machines: it validates events by the contract and counts sessions."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandpiper_contract import requests, workflows
from sandpiper_contract.errors import ERRORS, InvalidRequest
from sandpiper_contract.events import Event
from tests.support.state_machine import TaskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.state_machine import StateMachine

CALL_SECONDS = 0.5
LIFETIME_SECONDS = 300


@dataclass(frozen=True)
class Fault:
    """An error of the task of a state.

    Attributes:
        state: The name of the state.
        error: The name of the error.
        visit: The number of the attempt at which it begins, from 0.
        times: How many attempts fail.
        performed: Whether the function performed the operation before the error.
    """

    state: str
    error: str
    visit: int = 0
    times: int = 100
    performed: bool = False


@dataclass
class SimulatedFunction:
    """The tasks of a workflow: operations of the session function, and messages to a topic.

    Attributes:
        fault: The fault, if any.
        command_seconds: How long a started command runs.
        exit_codes: The exit code of each step. Default: 0.
        answer: Returns the answer to an approval after some seconds, or None for no answer.
        sessions: When the lifetime of each live session ends.
        programs: The sessions in which programs ran, in order.
        polls: When the command was polled.
        messages: The messages to the topic.
    """

    fault: Fault | None = None
    command_seconds: float = 0
    exit_codes: list[int] = field(default_factory=list[int])
    answer: Callable[[], tuple[float, Any]] = lambda: (10, {"by": "ada"})
    sessions: dict[str, float] = field(default_factory=dict[str, float])
    programs: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    polls: list[float] = field(default_factory=list[float])
    messages: list[str] = field(default_factory=list[str])
    started: int = 0
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    command: tuple[float, requests.StartCommand] | None = None

    def run(self, state: str, arguments: Any, timeout_seconds: float, machine: StateMachine) -> Any:
        """Performs the task of a state. Raises TaskError."""
        machine.now += CALL_SECONDS
        for session in [session for session, ends in self.sessions.items() if ends <= machine.now]:
            del self.sessions[session]
        attempt = self.attempts.get(state, 0)
        self.attempts[state] = attempt + 1
        fault = self.fault
        is_faulty = fault is not None and fault.state == state and fault.visit <= attempt < fault.visit + fault.times
        if fault is not None and is_faulty and fault.error == "SessionEnded":
            self.sessions.clear()
        if fault is not None and is_faulty and not fault.performed:
            raise TaskError(fault.error, _cause(fault.error, "injected"))
        result = self._perform(arguments, timeout_seconds, machine)
        if fault is not None and is_faulty:
            if fault.error in ERRORS and arguments.get("operation") in ("open_session", "start_command"):
                self.sessions.popitem()  # the function stops the session that it has started before it fails
            raise TaskError(fault.error, _cause(fault.error, "injected"))
        return json.loads(json.dumps(result))

    def _perform(self, arguments: Any, timeout_seconds: float, machine: StateMachine) -> Any:
        if "TopicArn" in arguments:
            self.messages.append(arguments["Message"])
            return {"MessageId": "1"}
        if "Payload" in arguments:
            request = Event.from_json(arguments["Payload"], "event").typed_request()
            assert isinstance(request, workflows.AwaitApproval)
            seconds, answer = self.answer()
            machine.now += min(seconds, timeout_seconds)
            if seconds >= timeout_seconds:
                raise TaskError("States.Timeout")
            if isinstance(answer, TaskError):
                raise answer
            return answer
        event = Event.from_json(arguments, "event")
        try:
            return getattr(self, f"_{event.operation}")(event.typed_request(), machine)
        except InvalidRequest as error:
            raise TaskError("InvalidRequest", _cause("InvalidRequest", str(error))) from None

    def _check_request(self, request: workflows.CheckRequest, _: StateMachine) -> Any:
        valid = workflows.WORKFLOWS[request.workflow].request.from_json(request.request)
        return workflows.CheckedRequest(valid.to_json()).to_json()

    def _open_session(self, request: requests.OpenSession, machine: StateMachine) -> Any:
        return {"session": self._open(request.session_timeout_seconds or LIFETIME_SECONDS, machine)}

    def _run_in_session(self, request: requests.RunInSession, machine: StateMachine) -> Any:
        self._require(request.session.session_id)
        exit_code = self.exit_codes[len(self.programs)] if len(self.programs) < len(self.exit_codes) else 0
        self.programs.append((request.session.session_id, request.code or request.command or ""))
        machine.now += 1
        no_files: list[object] = []
        output = "x" * (request.outputs.max_result_bytes - 500)
        return {
            **{
                "stdout": output,
                "stderr": "",
                "exitCode": exit_code,
                "executionTimeMs": 1.0,
                "timedOut": exit_code == 124,
            },
            **{"files": no_files, "skipped": no_files, "session": request.session.to_json()},
        }

    def _close_session(self, request: requests.CloseSession, _: StateMachine) -> Any:
        return {"closed": self.sessions.pop(request.session.session_id, None) is not None}

    def _stop_sessions(self, _request: requests.StopSessions, machine: StateMachine) -> Any:
        machine.now += 5
        stopped = list(self.sessions)
        self.sessions.clear()
        return {"sessionIds": stopped}

    def _start_command(self, request: requests.StartCommand, machine: StateMachine) -> Any:
        lifetime = request.session_timeout_seconds or 3_600
        handle = self._open(lifetime, machine)
        self.command = (machine.now, request)
        limit = request.timeout_seconds or lifetime - min(300, max(20, lifetime // 12))
        task = {"session": handle, "taskId": "task-1", "closes": True, "timeoutSeconds": limit}
        return {"task": task, "status": "submitted"}

    def _poll_command(self, request: requests.PollCommand, machine: StateMachine) -> Any:
        self._require(request.task.session.session_id)
        assert self.command is not None
        self.polls.append(machine.now)
        elapsed = machine.now - self.command[0]
        limit = request.task.timeout_seconds or 28_800
        if elapsed < min(self.command_seconds, limit):
            return {"status": "working", "ended": False, "stdout": f"{elapsed:.0f} s", "stderr": "", "timedOut": False}
        del self.sessions[request.task.session.session_id]
        timed_out = self.command_seconds > limit
        exit_code = 124 if timed_out else self.exit_codes[0] if self.exit_codes else 0
        if exit_code and request.fail_on_error:
            raise TaskError("CodeFailed", _cause("CodeFailed", f"the program ended with exit code {exit_code}"))
        return {"status": "completed", "ended": True, "stdout": "done", "exitCode": exit_code, "timedOut": timed_out}

    def _stop_command(self, request: requests.StopCommand, _: StateMachine) -> Any:
        self._require(request.task.session.session_id)
        del self.sessions[request.task.session.session_id]
        return {"status": "canceled", "ended": True, "stdout": "", "stderr": "", "timedOut": False, "files": []}

    def _run_code(self, request: requests.RunCode, machine: StateMachine) -> Any:
        assert request.code
        machine.now += 1
        return {"stdout": "", "stderr": "", "exitCode": 0, "executionTimeMs": 1.0, "timedOut": False, "files": []}

    def _open(self, lifetime_seconds: float, machine: StateMachine) -> Any:
        self.started += 1
        session = f"session-{self.started}"
        self.sessions[session] = machine.now + lifetime_seconds
        return {"interpreter": "sandbox", "sessionId": session, "seen": 0, "ends": int(machine.now + lifetime_seconds)}

    def _require(self, session: str) -> None:
        if session not in self.sessions:
            raise TaskError("SessionEnded", _cause("SessionEnded", "the session has ended"))


def _cause(error: str, message: str) -> str:
    """Returns the cause of an error: JSON from the session function, text from Step Functions, none of a timeout."""
    if error == "States.Timeout":
        return ""
    if error not in ERRORS:
        return message
    return json.dumps({"errorMessage": message, "errorType": error, "stackTrace": []})
