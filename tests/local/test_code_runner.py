"""`code_runner` as a script uses it: how many calls a run costs, and what becomes of a run that takes too long."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from code_runner.clients import clients
from code_runner.run import Place, Services, run_code
from sandpiper_contract.errors import DeadlineExceeded, RunError
from sandpiper_contract.request import InputFile, RunRequest

if TYPE_CHECKING:
    from sandpiper_contract.result import RunResult
    from tests.local.conftest import Product


class Runner:
    """Runs requests by the library and counts the calls of InvokeCodeInterpreter."""

    def __init__(self, product: Product) -> None:
        self.calls: list[str] = []
        self.not_stopped: list[str] = []
        place = product.place
        self._place = Place(place.interpreters, place.bucket, place.prefix)
        self._services = Services(self._counted, product.session.client("s3"), self._keep_not_stopped)

    def run(self, request: RunRequest, seconds_left: float = 900) -> RunResult:
        self.calls.clear()
        return run_code(request, str(uuid.uuid4()), self._place, self._services, seconds_left)

    def _keep_not_stopped(self, session_id: str, _: RunError) -> None:
        self.not_stopped.append(session_id)

    def _counted(self, read_timeout_seconds: int) -> Any:
        made = clients.__wrapped__(read_timeout_seconds)  # not the cached ones: each counts for its own test

        def count(params: dict[str, Any], **_: object) -> None:
            self.calls.append(params["body"].split(b'"name": "')[1].split(b'"')[0].decode())

        made.invoke.meta.events.register("before-call.bedrock-agentcore.InvokeCodeInterpreter", count)
        return made


@pytest.fixture
def runner(product: Product) -> Any:
    """A runner whose sessions have all been stopped in the end."""
    runner = Runner(product)
    yield runner
    assert runner.not_stopped == []
    assert product.live_sessions() == []


def test_a_run_costs_as_many_calls_as_it_needs_and_no_more(runner: Runner) -> None:
    assert runner.run(RunRequest("print(1)")).files == ()
    assert runner.calls == ["executeCode", "executeCommand"]
    ten = RunRequest("for n in range(10): open(f'{n}', 'w').write('x')")
    assert len(runner.run(ten).files) == 10
    assert runner.calls == ["executeCode", "executeCommand", "readFiles"]
    given = RunRequest(
        "open('out', 'w').write(open('in').read())", inputs=(InputFile("in", b"1"), InputFile("in2", b"2"))
    )
    assert [file.path for file in runner.run(given).files] == ["out"]
    assert runner.calls == ["writeFiles", "executeCode", "executeCommand", "readFiles"]


def test_code_longer_than_its_session_lives_is_a_deadline_and_was_sent_once(runner: Runner) -> None:
    with pytest.raises(
        DeadlineExceeded, match=r"the session's 3 s \(sessionTimeoutSeconds\) were over before the code"
    ):
        runner.run(RunRequest("import time; time.sleep(60)", session_timeout_seconds=3))
    assert runner.calls == ["executeCode"]


def test_code_longer_than_the_time_there_is_was_sent_once_and_its_session_is_stopped(runner: Runner) -> None:
    with pytest.raises(DeadlineExceeded, match="no answer in the time there was"):
        runner.run(RunRequest("import time; time.sleep(60)"), seconds_left=31)
    assert runner.calls == ["executeCode"]


def test_a_run_is_not_begun_with_too_little_time_left(runner: Runner) -> None:
    with pytest.raises(DeadlineExceeded, match="29 s are left; a run needs at least 30 s"):
        runner.run(RunRequest("1"), seconds_left=29)
    assert runner.calls == []
