"""Runs a program for a limited time and returns its result also when the time is over.

A command is started by timeout(1). Code runs in an interpreter of the service, so a second call that runs at the same
time interrupts it: first with SIGINT, so that a Python kernel keeps its variables, then with SIGKILL. If neither ends
the call, the call is abandoned.
"""

from __future__ import annotations

import logging
import math
import shlex
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from code_runner.agentcore import boto_clients
from code_runner.agentcore.alarms import ALARMS
from code_runner.agentcore.programs import Code, Command
from code_runner.agentcore.responses import Outcome
from code_runner.agentcore.tool_invoker import MAX_CALL_SECONDS
from code_runner.sandbox_scripts.runner import MAX_ARGUMENT_BYTES, run_script
from sandpiper_contract.errors import DeadlineExceeded, RunError, SessionLost
from sandpiper_contract.requests import TIMEOUT_RESERVE_SECONDS
from sandpiper_contract.results import TIMED_OUT_EXIT_CODE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from code_runner.agentcore.client import CodeInterpreterClient

log = logging.getLogger(__name__)

GRACE_SECONDS = 3
"""Time between the first signal and SIGKILL."""
RESPONSE_SECONDS = 5
"""How long after the timeout the response is awaited at least: the grace, and time for the response itself."""
INTERRUPT_CALL_SECONDS = 10
"""Timeout of the call that interrupts a program."""
MAX_LATENCY_SECONDS = 2
"""How long the interrupting call may take until its script runs."""
TIMED_OUT_EXIT_CODES = (TIMED_OUT_EXIT_CODE, 128 + signal.SIGKILL)
"""The exit codes of timeout(1) after a timeout: the second if it needed SIGKILL, which ends timeout(1) itself."""
_LOST_OUTPUT_ERRORS = (DeadlineExceeded, SessionLost)


@dataclass(frozen=True)
class TimedOutcome:
    """The outcome of a program with a timeout.

    Attributes:
        outcome: Output and exit code, which is 124 after a timeout.
        timed_out: Whether the program was ended at its timeout.
    """

    outcome: Outcome
    timed_out: bool = False


def program_seconds(client: CodeInterpreterClient, requested: int | None) -> float:
    """Returns how long a program may run, in seconds.

    Time is reserved for ending the program and for collecting its files, half of the remaining time at most.

    Args:
        client: The client of the session.
        requested: The requested timeout in seconds, if any.
    """
    limits = [MAX_CALL_SECONDS, client.deadline.seconds_left]
    if client.lifetime is not None and client.lifetime.seconds_left > 0:  # else the service rejects the program
        limits.append(client.lifetime.seconds_left)
    seconds_left = max(min(limits), 0)
    available = seconds_left - min(TIMEOUT_RESERVE_SECONDS, seconds_left / 2)
    return available if requested is None else min(requested, available)


def run_for(
    client: CodeInterpreterClient, program: Code | Command, seconds: float, on_rejected: Callable[[], None]
) -> TimedOutcome:
    """Sends a program once and ends it after a time.

    Args:
        client: The client of the session.
        program: The program or command.
        seconds: How long the program may run.
        on_rejected: Called when the program certainly did not run.

    Raises:
        RunError: The program has no result, and its time was not over.
    """
    step = boto_clients.READ_TIMEOUT_STEP_SECONDS
    wait_seconds = math.ceil((seconds + RESPONSE_SECONDS) / step) * step  # clients round it down
    if isinstance(program, Command):
        execute = partial(client.execute_command, command_with_timeout(program, seconds))
        timer = _Timer(seconds, _do_not_interrupt)
    else:
        execute = partial(client.execute_code, program)
        timer = _Timer(seconds, _Interrupter(client, program))

    def reject() -> None:
        timer.expired = False  # a program that did not run has not timed out
        on_rejected()

    try:
        outcome = execute(seconds=wait_seconds, on_rejected=reject, while_sent=timer.running)
    except _LOST_OUTPUT_ERRORS as error:
        if not timer.expired:
            raise
        text = f"The program ran longer than its timeout of {seconds:g} s. Its output is not available: {error}"
        return TimedOutcome(Outcome("", text, TIMED_OUT_EXIT_CODE, timer.seconds), timed_out=True)
    if not timer.expired or (isinstance(program, Command) and outcome.exit_code not in TIMED_OUT_EXIT_CODES):
        return TimedOutcome(outcome)
    return TimedOutcome(replace(outcome, exit_code=TIMED_OUT_EXIT_CODE), timed_out=True)


def command_with_timeout(command: Command, seconds: float) -> Command:
    """Returns the command that runs a command under timeout(1), which ends all processes of its process group.

    A command that would then be too long for an argument is returned unchanged. Its call is abandoned at the timeout.
    """
    words = ["timeout", f"--kill-after={GRACE_SECONDS}", f"{seconds:.3f}", "/bin/sh", "-c", command.text]
    text = shlex.join(words)
    return Command(text) if len(text.encode("utf-8", "surrogatepass")) <= MAX_ARGUMENT_BYTES else command


@dataclass
class _Timer:
    """Signals a program after a time, from another thread, while its call is waiting for the response.

    Attributes:
        limit_seconds: How long the program may run.
        interrupt: Sends a signal to the program, which was sent this many seconds ago.
        expired: Whether the time was over before the last call had its response.
        seconds: How long the last call took.
    """

    limit_seconds: float
    interrupt: Callable[[signal.Signals, float], None]
    expired: bool = False
    seconds: float = 0.0

    @contextmanager
    def running(self) -> Generator[None]:
        """Runs the timer during the block. No signal is sent after the block, so none reaches a later program."""
        self.expired, responded, sent_at = False, threading.Event(), time.monotonic()
        alarm = ALARMS.call_after(self.limit_seconds, partial(self._expire, responded, sent_at))
        try:
            yield
        finally:
            responded.set()
            self.seconds = time.monotonic() - sent_at
            alarm.cancel()

    def _expire(self, responded: threading.Event, sent_at: float) -> None:
        self.expired = True
        self.interrupt(signal.SIGINT, time.monotonic() - sent_at)
        if not responded.wait(GRACE_SECONDS):
            self.interrupt(signal.SIGKILL, time.monotonic() - sent_at)


def _do_not_interrupt(_number: signal.Signals, _elapsed_seconds: float) -> None:
    """Does nothing: timeout(1) signals a command."""


@dataclass(frozen=True)
class _Interrupter:
    """Signals code that runs in an interpreter of the session."""

    client: CodeInterpreterClient
    code: Code

    def __call__(self, number: signal.Signals, elapsed_seconds: float) -> None:
        """Sends a signal. A failure is logged; the call of the code is then abandoned."""
        age = elapsed_seconds + MAX_LATENCY_SECONDS
        task = {"kernel": self.code.language == "python", "age": age, "signal": int(number)}
        try:
            run_script(self.client, "interrupting the program", "interrupt", task, INTERRUPT_CALL_SECONDS)
        except RunError as error:
            log.warning("program not interrupted: %s", error)
