"""`code_runner` as a script uses it: what a run costs, and what becomes of it when calls fail."""

from __future__ import annotations

import io
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse

from code_runner.clients import AwsClients, once
from code_runner.run import Place, run_code
from sandpiper_contract.errors import DeadlineExceeded, RunError
from sandpiper_contract.request import InputFile, RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient
    from mypy_boto3_s3 import S3Client

    from sandpiper_contract.result import RunResult
    from tests.local.conftest import Product

# The service's refusals and faults, as HTTP answers: the status and the error's name.
FAULTS = {
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "InternalServerException": 500,
}


@dataclass
class Runner:
    """Runs requests by the library; records what is really sent, and answers for the service where a test says so.

    The answers stand in for what neither the service nor its emulator can be made to do.
    """

    product: Product
    sent: list[str] = field(default_factory=list[str])
    not_stopped: list[str] = field(default_factory=list[str])
    answers: dict[str, Callable[[], AWSResponse | None]] = field(default_factory=dict[str, Any])

    def run(self, request: RunRequest, seconds: float = 900) -> RunResult:
        self.sent.clear()
        place = self.product.place
        return run_code(
            request,
            str(uuid.uuid4()),
            Place(place.interpreters, place.bucket, place.prefix),
            Watched(AwsClients.default(), self),
            seconds=seconds,
            not_stopped=lambda session_id, _: self.not_stopped.append(session_id),
        )

    def watch(self, client: Any) -> Any:
        def before_send(request: Any, **_: object) -> AWSResponse | None:
            name = request.url.partition("?")[0].rpartition("/")[2]
            if name == "invoke":
                name = json.loads(request.body)["name"]
            self.sent.append(name)
            return self.answers.get(name, lambda: None)()

        client.meta.events.register_first("before-send.bedrock-agentcore.*", before_send, unique_id="watch")
        return client


@dataclass
class Watched:
    """The real clients, watched."""

    real: AwsClients
    runner: Runner

    @property
    def sessions(self) -> BedrockAgentCoreClient:
        return self.runner.watch(self.real.sessions)

    @property
    def s3(self) -> S3Client:
        return self.real.s3

    def invoke(self, seconds: float) -> BedrockAgentCoreClient:
        return self.runner.watch(once.__wrapped__(int(seconds)))


def refusal(code: str) -> AWSResponse:
    body = io.BytesIO(json.dumps({"message": "as the test wants it"}).encode())
    raw: Any = body
    headers: Any = {"x-amzn-errortype": code}
    body.stream = lambda **_: iter([body.getvalue()])  # type: ignore[attr-defined]
    return AWSResponse("http://test", FAULTS[code], headers, raw)


@pytest.fixture
def runner(product: Product, monkeypatch: pytest.MonkeyPatch) -> Generator[Runner]:
    """A runner that does not wait between attempts, and whose sessions have all been stopped in the end."""
    monkeypatch.setattr("code_runner.session.WAITS_SECONDS", (0.01, 0.01))
    runner = Runner(product)
    yield runner
    assert runner.not_stopped == []
    assert product.live_sessions() == []


LEAVES_A_FILE = RunRequest("open('out.txt', 'w').write('1'); print('ran')", inputs=(InputFile("in.txt", b"1"),))
WHOLE_RUN = ["start", "writeFiles", "executeCode", "executeCommand", "readFiles", "stop"]


def test_a_run_costs_as_many_calls_as_it_needs_and_no_more(runner: Runner) -> None:
    assert runner.run(RunRequest("print(1)")).files == ()
    assert runner.sent == ["start", "executeCode", "executeCommand", "stop"]
    assert len(runner.run(RunRequest("for n in range(10): open(f'{n}', 'w').write('x')")).files) == 10
    assert runner.sent == ["start", "executeCode", "executeCommand", "readFiles", "stop"]
    assert [file.path for file in runner.run(LEAVES_A_FILE).files] == ["out.txt"]
    assert runner.sent == WHOLE_RUN


@pytest.mark.parametrize("code", FAULTS)
@pytest.mark.parametrize("call", ["executeCommand", "readFiles"])
def test_whatever_fails_after_the_code_ran_costs_files_and_not_the_result(runner: Runner, call: str, code: str) -> None:
    runner.answers[call] = lambda: refusal(code)
    result = runner.run(LEAVES_A_FILE)
    assert (result.stdout, result.exit_code, result.files) == ("ran", 0, ())
    assert [file.path for file in result.skipped] == [{"executeCommand": ".", "readFiles": "out.txt"}[call]]
    assert runner.sent.count("executeCode") == 1
    assert runner.sent[-1] == "stop"


@pytest.mark.parametrize(
    ("code", "error", "times"),
    [
        ("ThrottlingException", "Throttled", 3),
        ("ServiceQuotaExceededException", "QuotaExceeded", 1),
        ("ValidationException", "InvalidRequest", 1),
        ("AccessDeniedException", "AccessDenied", 1),
        ("InternalServerException", "SessionLost", 1),
    ],
)
def test_code_is_sent_again_only_after_a_refusal_for_its_rate(
    runner: Runner, code: str, error: str, times: int
) -> None:
    runner.answers["executeCode"] = lambda: refusal(code)
    with pytest.raises(RunError) as raised:
        runner.run(LEAVES_A_FILE)
    assert type(raised.value).__name__ == error
    assert runner.sent == ["start", "writeFiles", *["executeCode"] * times, "stop"]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", "Throttled"),
        ("AccessDeniedException", "AccessDenied"),
        ("InternalServerException", "ServiceFault"),
    ],
)
def test_a_failure_before_the_code_is_named_and_nothing_ran(runner: Runner, code: str, error: str) -> None:
    runner.answers["writeFiles"] = lambda: refusal(code)
    with pytest.raises(RunError) as raised:
        runner.run(LEAVES_A_FILE)
    assert type(raised.value).__name__ == error
    assert "executeCode" not in runner.sent
    assert runner.sent[-1] == "stop"


def test_a_passing_throttle_of_the_code_is_waited_for(runner: Runner) -> None:
    refusals = iter([refusal("ThrottlingException"), None])
    runner.answers["executeCode"] = lambda: next(refusals)
    assert runner.run(LEAVES_A_FILE).stdout == "ran"
    assert runner.sent.count("executeCode") == 2


def test_a_session_that_cannot_be_stopped_is_told_and_costs_nothing(product: Product) -> None:
    runner = Runner(product)
    runner.answers["stop"] = lambda: refusal("AccessDeniedException")
    assert runner.run(RunRequest("print(1)", session_timeout_seconds=60)).stdout == "1"
    (session_id,) = runner.not_stopped
    assert product.live_sessions() == [session_id]
    product.session.client("bedrock-agentcore").stop_code_interpreter_session(
        codeInterpreterIdentifier=next(iter(product.place.interpreters.values())), sessionId=session_id
    )


def test_code_longer_than_its_session_lives_is_a_deadline_and_was_sent_once(runner: Runner) -> None:
    with pytest.raises(
        DeadlineExceeded, match=r"the session's 3 s \(sessionTimeoutSeconds\) were over before the code"
    ):
        runner.run(RunRequest("import time; time.sleep(60)", session_timeout_seconds=3))
    assert runner.sent.count("executeCode") == 1


def test_code_longer_than_the_time_there_is_was_sent_once_and_its_session_is_stopped(runner: Runner) -> None:
    with pytest.raises(DeadlineExceeded, match="no answer in the time there was"):
        runner.run(RunRequest("import time; time.sleep(60)"), seconds=41)
    assert runner.sent == ["start", "executeCode", "stop"]


def test_a_run_is_not_begun_with_too_little_time_left(runner: Runner) -> None:
    with pytest.raises(DeadlineExceeded, match="at least 10 s are needed"):
        runner.run(RunRequest("1"), seconds=35)
    assert runner.sent == []


def test_files_without_number_cost_no_more_than_their_names(runner: Runner) -> None:
    """All are named, and none that the limits leave out is read."""
    code = "import os\nfor n in range(12_000):\n    with open(f'{n:05}', 'wb') as f: f.truncate(100_000)\nprint('ran')"
    result = runner.run(RunRequest(code), seconds=90)
    assert result.stdout == "ran"
    assert [file.path for file in result.files] == [f"{n:05}" for n in range(10)]
    assert result.manifest_uri is not None
