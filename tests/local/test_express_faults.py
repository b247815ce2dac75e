"""The deployed workflow run-code-express: faults at every call, and how often its code runs."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError

from local_agentcore.faults import Rule
from sandpiper import stopping
from tests.support.deployed_workflows import STOPPED_SECONDS, Workflows, until
from tests.support.function_processes import workers
from tests.support.jobs import Job
from tests.support.run_attempts import Attempts
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from local_agentcore.admin_client import FaultInjector
    from local_aws.running_instance import RunningInstance
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it injects faults and kills the function's process")

START, STOP = "StartCodeInterpreterSession", "StopCodeInterpreterSession"
QUOTA, DENIED, INVALID = "ServiceQuotaExceededException", "AccessDeniedException", "ValidationException"
DONE, LOST = "SUCCEEDED", "SessionLost"
FAULTS: list[tuple[Rule, str, int]] = [
    # fault, outcome, executions of the code
    (Rule("throttling", START, times=1), DONE, 1),
    (Rule("error", START, code=QUOTA, times=1), DONE, 1),
    (Rule("error", START, code=DENIED), "AccessDenied", 0),
    (Rule("error", START, at="after", times=1), DONE, 1),
    (Rule("disconnect", START, at="unanswered", times=1), DONE, 1),
    (Rule("throttling", "writeFiles", times=1), DONE, 1),
    (Rule("error", "writeFiles", code=DENIED), "AccessDenied", 0),
    (Rule("disconnect", "writeFiles", at="unanswered", times=1), DONE, 1),
    (Rule("session_dies", "writeFiles", times=1), DONE, 1),
    (Rule("throttling", "executeCode", times=1), DONE, 1),
    (Rule("error", "executeCode", code=DENIED), "AccessDenied", 0),
    (Rule("error", "executeCode", code=INVALID), "InvalidRequest", 0),
    (Rule("error", "executeCode"), LOST, 0),
    (Rule("error", "executeCode", at="after"), LOST, 1),
    (Rule("stream_error", "executeCode", code="ThrottlingException"), LOST, 1),
    (Rule("disconnect", "executeCode", at="before"), LOST, 0),
    (Rule("disconnect", "executeCode", at="unanswered"), LOST, 1),
    (Rule("disconnect", "executeCode", at="during"), LOST, 1),
    (Rule("session_dies", "executeCode"), LOST, 0),
    (Rule("disconnect", "executeCommand", at="unanswered", times=1), DONE, 1),
    (Rule("session_dies", "executeCommand"), DONE, 1),
    (Rule("error", STOP, at="after", times=1), DONE, 1),
    (Rule("disconnect", STOP, at="unanswered", times=1), DONE, 1),
]


class Express:
    """Runs a program that records each of its executions in S3."""

    def __init__(self, product: Product) -> None:
        self.product = product
        self.job = Job(product, Attempts(product.deployment), "run_code")
        self.machine = product.deployment.workflows["run-code-express"]

    def run(self, code: str = "", attempts: int = 1, read_timeout: int = 60) -> Any:
        """Returns the response of `StartSyncExecution`, which boto3 sends up to `attempts` times."""
        config = Config(inject_host_prefix=False, read_timeout=read_timeout, retries={"total_max_attempts": attempts})
        client = self.product.session.client("stepfunctions", config=config)
        return client.start_sync_execution(stateMachineArn=self.machine, input=self.request(code))

    def request(self, code: str = "") -> str:
        """Returns the input: a program with an input file, which then runs more code."""
        inputs = [{"path": "a.txt", "text": "a"}]
        return json.dumps({"code": f"{self.job.program}\n{code}", "inputs": inputs})


@pytest.fixture
def express(product: Product) -> Generator[Express]:
    """Returns a program to run. Asserts that no session is live one minute after the test."""
    yield Express(product)
    until(lambda: product.live_sessions() == [], STOPPED_SECONDS)


@pytest.mark.parametrize(
    ("rule", "outcome", "executions"),
    FAULTS,
    ids=["-".join(map(str, row[0].members().values())) for row in FAULTS],
)
def test_a_fault_runs_the_code_at_most_once(
    express: Express, faults: FaultInjector, rule: Rule, outcome: str, executions: int
) -> None:
    faults.inject(rule)
    run = express.run()
    assert faults.injected() != [0]
    assert (run.get("error", run["status"]), express.job.executions()) == (outcome, executions), run.get("cause")


def test_a_run_whose_function_lambda_ends_is_not_repeated(express: Express, aws: RunningInstance) -> None:
    states = express.product.session.client("stepfunctions")
    definition = states.describe_state_machine(stateMachineArn=express.machine)["definition"]
    function = next(part for part in definition.split('"') if ":function:" in part)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(express.run, "while True: pass")
        express.job.wait_until_it_ran()
        for pid in workers(aws, function):
            os.kill(pid, signal.SIGKILL)
        run = running.result()
    assert (run["status"], express.job.executions()) == ("FAILED", 1)
    (orphan,) = express.product.live_sessions()  # no event ends it before its lifetime does
    assert stopping.stop_one_session(express.product.session, express.product.deployment, orphan)


@pytest.mark.parametrize("attempts", [1, 2])
def test_a_caller_that_sends_a_call_again_runs_the_code_again(express: Express, attempts: int) -> None:
    """Botocore and the AWS CLI repeat a call without a response after 60 s, unless they are configured otherwise."""
    with pytest.raises(ReadTimeoutError):
        express.run("import time; time.sleep(3)", attempts=attempts, read_timeout=1)
    until(lambda: express.job.executions() >= attempts)
    until(lambda: express.product.live_sessions() == [])
    assert express.job.executions() == attempts


def test_an_asynchronous_run_has_its_result_only_in_s3(express: Express) -> None:
    workflows = Workflows(express.product)
    started = workflows.client.start_execution(stateMachineArn=express.machine, input=express.request())
    until(lambda: b'"done"' in workflows.records(started["executionArn"]))
    assert express.job.executions() == 1
