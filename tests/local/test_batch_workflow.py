"""The workflow `run-batch`: results in the order of the items, failures, limits and stops."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.live_sessions import log_stop_failure
from code_runner.batches.batch_folder import BatchFolder, StoredBatch
from code_runner.batches.finishing import finish
from code_runner.idempotency.stored_record import Status, StoredRecord
from code_runner.operations import Operations
from code_runner.tenant_config import TenantConfig
from local_agentcore.faults import Rule
from sandpiper.capacity.estimate import estimate
from sandpiper.capacity.model import Job, Scenario
from sandpiper_contract.batches import BatchSummary, FinishBatch, ItemResult, RunBatch
from sandpiper_contract.results import RunResult
from sandpiper_contract.run import Run
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from local_agentcore.admin_client import FaultInjector
    from tests.support.product import Product


embedded_only = pytest.mark.skipif(ON_AWS, reason="it injects faults, or writes records as the session function does")

PATIENCE_SECONDS = 120
START = "StartCodeInterpreterSession"
PROGRAM = "import json; print(json.load(open('item.json'))['n'] * 2)"


@dataclass(frozen=True)
class Finished:
    """A batch that has ended: the status and the error of its execution, its output and its results."""

    execution: str
    status: str
    error: str | None
    cause: str | None
    output: Any
    results: list[ItemResult]
    summary: BatchSummary | None

    def stdouts(self) -> list[str | None]:
        """Returns the output of each item, or None for an item with an error."""
        return [each.result and each.result.stdout for each in self.results]

    def errors(self) -> dict[int, str]:
        """Returns the names of the errors by the index of the item."""
        return {each.index: each.error.name for each in self.results if each.error}


@dataclass(frozen=True)
class Batches:
    """The deployed workflow and the folder of its tenant."""

    product: Product

    @property
    def machine(self) -> str:
        """The ARN of the state machine."""
        return self.product.deployment.run_code_arn.removesuffix("run-code") + "run-batch"

    @property
    def inputs(self) -> str:
        """The URI of the folder of inputs."""
        return f"s3://{self.product.deployment.bucket}/{self.product.deployment.prefix}/inputs/"

    @property
    def function(self) -> str:
        """The name of the session function."""
        stack: Any = boto3.client("cloudformation").describe_stacks(StackName=f"sandpiper-{ENVIRONMENT}-{TENANT}")
        outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Stacks"][0]["Outputs"]}
        return outputs["SessionFunctionName"]

    def item_counts(self, execution: str) -> dict[str, int]:
        """Returns the counts of items that are not 0, of the Distributed Map of an execution."""
        client: Any = boto3.client("stepfunctions")
        (run,) = client.list_map_runs(executionArn=execution)["mapRuns"]
        counts = client.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
        return {name: count for name, count in counts.items() if count and name != "resultsWritten"}

    def put(self, name: str, data: bytes) -> str:
        """Writes an input and returns its URI."""
        bucket, key = (self.inputs + name).removeprefix("s3://").split("/", 1)
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    def put_items(self, items: Sequence[object]) -> dict[str, str]:
        """Writes items as JSON Lines and returns the field `items` of a request."""
        data = "".join(json.dumps(item) + "\n" for item in items)
        return {"location": self.put(f"{uuid.uuid4()}.jsonl", data.encode()), "format": "jsonl"}

    def start(self, request: dict[str, Any]) -> str:
        """Starts a batch and returns its execution."""
        return boto3.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=str(uuid.uuid4()), input=json.dumps(request)
        )["executionArn"]

    def run(self, items: Sequence[object], code: str = PROGRAM, **request: Any) -> Finished:
        """Runs a batch to its end."""
        own = {"code": code, **request.pop("request", {})}
        return self.wait(self.start({"items": self.put_items(items), "request": own, **request}))

    def wait(self, execution: str) -> Finished:
        """Waits for the end of an execution. After a failure, also for its results, if the batch was prepared."""
        client: Any = boto3.client("stepfunctions")
        until = time.monotonic() + PATIENCE_SECONDS
        while (ended := client.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < until, client.get_execution_history(executionArn=execution)["events"][-3:]
            time.sleep(0.1)
        output = json.loads(ended["output"]) if ended["status"] == "SUCCEEDED" else None
        if output is None and self.read(execution, "batch.json") is not None:
            while self.read(execution, "summary.json") is None:
                assert time.monotonic() < until, "no summary"
                time.sleep(0.1)
        lines = (self.read(execution, "results.jsonl") or b"").splitlines()
        summary = self.read(execution, "summary.json")
        return Finished(
            execution,
            ended["status"],
            ended.get("error"),
            ended.get("cause"),
            output,
            [ItemResult.from_json(json.loads(line), "line") for line in lines],
            None if summary is None else BatchSummary.from_json(json.loads(summary), "summary"),
        )

    def read(self, execution: str, name: str) -> bytes | None:
        """Returns an object of the batch, or None."""
        s3 = boto3.client("s3")
        _, machine, execution_name = execution.rsplit(":", 2)
        deployment = self.product.deployment
        try:
            key = f"{deployment.prefix}/runs/{machine}/{execution_name}/{name}"
            return s3.get_object(Bucket=deployment.bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None


@pytest.fixture
def batches(product: Product) -> Generator[Batches]:
    """Returns the workflow. Asserts that no session runs after the test."""
    yield Batches(product)
    assert product.live_sessions() == []


def test_each_item_runs_once_and_its_result_is_in_its_place(batches: Batches) -> None:
    batch = batches.run([{"n": number} for number in range(12)])
    assert (batch.status, batch.error) == ("SUCCEEDED", None)
    assert [each.index for each in batch.results] == list(range(12))
    assert batch.stdouts() == [str(2 * number) for number in range(12)]
    assert batch.summary is not None
    assert batch.output["summary"] == batch.summary.to_json()
    assert (batch.summary.count, batch.summary.succeeded, batch.summary.failed) == (12, 12, 0)
    assert batch.summary.calls == 12 * 5  # start, write, run, collect, stop


@embedded_only
def test_a_simulated_batch_has_the_calls_sessions_transitions_and_events_of_a_real_one(batches: Batches) -> None:
    batch = batches.run([{"n": number} for number in range(5)], itemsPerSession=2)
    client: Any = boto3.client("stepfunctions")
    (map_run,) = client.list_map_runs(executionArn=batch.execution)["mapRuns"]
    children = client.list_executions(mapRunArn=map_run["mapRunArn"])["executions"]
    executions = [batch.execution, *(child["executionArn"] for child in children)]
    histories = [client.get_execution_history(executionArn=each, maxResults=1000)["events"] for each in executions]
    types = [event["type"] for events in histories for event in events]
    tasks = types.count("TaskScheduled")

    simulated = estimate(Scenario(items=5, job=Job(items_per_session=2)))

    assert batch.summary is not None
    counts = simulated.counts
    assert (counts.items, counts.children, counts.starts, counts.throttled) == (5, len(children), 3, 0)
    assert batch.summary.calls == counts.calls + counts.starts  # sessions are stopped after the last item's record
    assert simulated.transitions == sum(name.endswith("StateEntered") for name in types)
    assert simulated.events == len(types) + tasks  # the embedded AWS has no TaskStarted


def as_json(items: Sequence[object]) -> bytes:
    return json.dumps(items, indent=2).encode()


def as_csv(items: Sequence[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["n", "name"])
    writer.writeheader()
    writer.writerows(items)
    return text.getvalue().encode()


@pytest.mark.parametrize(("item_format", "write"), [("json", as_json), ("csv", as_csv)])
def test_items_can_be_an_array_or_a_table(batches: Batches, item_format: str, write: Callable[[Any], bytes]) -> None:
    items = [{"n": number, "name": 'a "b",\nc'} for number in range(3)]
    location = batches.put(f"{uuid.uuid4()}.{item_format}", write(items))
    code = "import json; item = json.load(open('item.json')); print(int(item['n']), repr(item['name']))"
    request = {"items": {"location": location, "format": item_format}, "request": {"code": code}}
    batch = batches.wait(batches.start(request))
    assert batch.stdouts() == [f"{number} 'a \"b\",\\nc'" for number in range(3)]


@pytest.mark.parametrize("item_format", ["s3-prefix", "manifest"])
def test_items_can_be_objects_which_are_written_to_the_working_directory(batches: Batches, item_format: str) -> None:
    folder = f"{uuid.uuid4()}/"
    uris = [batches.put(f"{folder}{name}.txt", name.encode()) for name in ("a", "b c", "d")]
    location = uris[0].removesuffix("a.txt")
    if item_format == "manifest":
        bucket = location.removeprefix("s3://").partition("/")[0]
        rows = "".join(f'"{bucket}","{uri.split("/", 3)[3].replace(" ", "+")}","1"\n' for uri in uris)
        data = batches.put(f"inventory/{folder}data.csv.gz", gzip.compress(rows.encode()))
        manifest = {
            "destinationBucket": f"arn:aws:s3:::{bucket}",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size",
            "files": [{"key": data.split("/", 3)[3]}],
        }
        location = batches.put(f"inventory/{folder}manifest.json", json.dumps(manifest).encode())
    request = {
        "items": {"location": location, "format": item_format},
        "request": {"code": "print(open('data.txt').read(), open('item.json').read())"},
        "itemInputs": [{"path": "data.txt", "s3UriFrom": "s3Uri"}],
    }
    batch = batches.wait(batches.start(request))
    assert batch.status == "SUCCEEDED", batch.cause
    printed = [stdout.split(" {", 1) for stdout in batch.stdouts() if stdout]
    assert [text for text, _ in printed] == ["a", "b c", "d"]
    expected = [
        {"s3Uri": uri, "key": uri.split("/", 3)[3], "size": len(text)}
        for uri, (text, _) in zip(uris, printed, strict=True)
    ]
    if item_format == "manifest":
        expected = [{**each, "size": 1} for each in expected]
    assert [json.loads("{" + item) for _, item in printed] == expected


@pytest.mark.parametrize(
    ("items", "change", "error", "problem"),
    [
        (b"", {}, "InvalidRequest", "has no items; allowed: 1 to 10,000,000"),
        (b'{"n": 1}\n{"n":\n', {}, "InvalidRequest", "line 2 is not valid JSON"),
        (b"1\n", {"maxConcurrency": 9_999}, "InvalidRequest", "maxConcurrency is 9999; allowed: 1 to 9"),
        (b"1\n", {"request": {"code": "1", "interpreter": "gpu"}}, "InterpreterNotFound", "interpreter is 'gpu'"),
        (b"1\n", {"request": {}}, "InvalidRequest", "none of code, codeS3Uri is set"),
        (b"1\n", {"itemInputs": [{"path": "a", "s3UriFrom": "a"}]}, "InvalidRequest", "line 1: a is null"),
        (b"1\n", {"items": {"location": "s3://other/inputs/a", "format": "json"}}, "InvalidRequest", "objects below"),
        (None, {}, "StorageError", "the object"),
    ],
)
def test_a_batch_that_cannot_run_fails_with_one_error_before_any_code_runs(
    batches: Batches, items: bytes | None, change: dict[str, Any], error: str, problem: str
) -> None:
    location = f"{batches.inputs}missing.jsonl"
    if items is not None:
        location = batches.put(f"{uuid.uuid4()}.jsonl", items)
    request = {"items": {"location": location, "format": "jsonl"}, "request": {"code": PROGRAM}}
    batch = batches.wait(batches.start({**request, **change}))
    assert (batch.status, batch.error) == ("FAILED", error)
    assert problem in json.loads(batch.cause or "")["errorMessage"]
    assert batch.results == []


FAILING = "import json; n = json.load(open('item.json'))['n']; print(n); assert n > 0"
NUMBERS = [{"n": number} for number in (1, -1, 2, -1, 3, 4)]


def test_a_program_that_fails_has_a_result(batches: Batches) -> None:
    batch = batches.run(NUMBERS, FAILING, toleratedFailures=0)
    assert batch.status == "SUCCEEDED"
    assert [each.result and each.result.exit_code for each in batch.results] == [0, 1, 0, 1, 0, 0]
    assert batch.summary is not None
    assert (batch.summary.failed, batch.summary.programs_failed) == (0, 2)


def test_failed_items_are_counted_and_tolerated(batches: Batches) -> None:
    batch = batches.run(NUMBERS, FAILING, request={"failOnError": True}, toleratedFailures="34%")
    assert batch.status == "SUCCEEDED"
    assert batch.errors() == {1: "CodeFailed", 3: "CodeFailed"}
    assert batch.stdouts() == ["1", None, "2", None, "3", "4"]
    assert batch.summary is not None
    assert [each.to_json() for each in batch.summary.failures] == [{"name": "CodeFailed", "count": 2}]


def test_too_many_failures_end_the_batch_and_the_rest_is_listed(batches: Batches) -> None:
    items = [{"n": -1}, {"n": -1}, *({"n": number} for number in range(20))]
    batch = batches.run(items, FAILING, request={"failOnError": True}, toleratedFailures=1, maxConcurrency=1)
    assert (batch.status, batch.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert len(batch.results) == len(items)
    errors = batch.errors()
    assert (errors[0], errors[1], errors[21]) == ("CodeFailed", "CodeFailed", "NotStarted")


def test_items_that_share_a_session_do_not_stop_each_other(batches: Batches) -> None:
    code = """
import json, os, time
n = json.load(open("item.json"))["n"]
seen = globals().get("seen", 0) + 1
open(f"{n}.txt", "w").write(str(n))
print(n, seen)
if n == 1: raise ValueError
if n == 2: time.sleep(60)
"""
    batch = batches.run([{"n": number} for number in range(6)], code, request={"timeoutSeconds": 2}, itemsPerSession=6)
    assert batch.status == "SUCCEEDED"
    assert batch.stdouts() == [f"{number} {number + 1}" for number in range(6)]
    results = [each.result for each in batch.results if each.result]
    assert [(each.exit_code, each.timed_out) for each in results] == [
        (0, False),
        (1, False),
        (124, True),
        *[(0, False)] * 3,
    ]
    assert [[file.path for file in each.files] for each in results] == [[f"{number}.txt"] for number in range(6)]
    assert batches.item_counts(batch.execution) == {"total": 6, "succeeded": 6}


def test_more_failures_in_shared_sessions_than_tolerated_fail_the_batch_after_its_results_are_written(
    batches: Batches,
) -> None:
    batch = batches.run(NUMBERS, FAILING, request={"failOnError": True}, itemsPerSession=3, toleratedFailures=1)
    assert (batch.status, batch.error) == ("FAILED", "BatchFailed")
    assert "2 of 6 items failed, and toleratedFailures is 1" in (batch.cause or "")
    assert batch.errors() == {1: "CodeFailed", 3: "CodeFailed"}


@embedded_only
def test_items_with_faults_and_throttling(batches: Batches, faults: FaultInjector) -> None:
    faults.inject(
        Rule("session_dies", "executeCode", calls=(8,)),
        Rule("throttling", START, rate=0.2),
        Rule("throttling", "executeCode", rate=0.2),
        Rule("error", "writeFiles", rate=0.1),
        seed=3,
    )
    batch = batches.run([{"n": number} for number in range(16)])
    faults.clear()
    assert batch.status == "SUCCEEDED"
    assert [each.index for each in batch.results] == list(range(16))
    (lost,) = batch.errors()
    assert batch.errors() == {lost: "SessionLost"}
    assert batch.stdouts() == [None if number == lost else str(2 * number) for number in range(16)]
    assert batch.summary is not None
    assert (batch.summary.succeeded, batch.summary.failed) == (15, 1)
    assert batch.summary.calls > 5 * 16  # some were repeated


def test_a_stopped_batch_has_the_results_of_what_ran_and_lists_the_rest(batches: Batches) -> None:
    code = "import json, time; n = json.load(open('item.json'))['n']; print(n, flush=True); time.sleep(100 if n else 0)"
    request = {
        "items": batches.put_items([{"n": number} for number in range(9)]),
        "request": {"code": code},
        "maxConcurrency": 3,
    }
    execution = batches.start(request)
    until = time.monotonic() + PATIENCE_SECONDS
    while len(batches.product.live_sessions()) < 3 or b"result" not in (
        batches.read(execution, "Items/id=00000000/claim.json") or b""
    ):
        assert time.monotonic() < until
        time.sleep(0.2)
    boto3.client("stepfunctions").stop_execution(executionArn=execution)
    batch = batches.wait(execution)
    assert batch.status == "ABORTED"
    errors = batch.errors()
    assert batch.stdouts()[0] == "0"
    assert [errors[index] for index in (1, 2, 3)] == ["SessionLost"] * 3
    assert [errors[index] for index in range(4, 9)] == ["NotStarted"] * 5
    assert batch.summary is not None
    assert (batch.summary.succeeded, batch.summary.failed) == (1, 8)
    assert batches.product.live_sessions() == []


@embedded_only
def test_a_redrive_runs_the_items_that_have_not_run_and_writes_the_results_again(
    batches: Batches, faults: FaultInjector
) -> None:
    faults.inject(Rule("error", START, code="AccessDeniedException", calls=(2,)))
    code = "import json, uuid; print(json.load(open('item.json'))['n'], uuid.uuid4())"
    failed = batches.run([{"n": number} for number in range(4)], code, toleratedFailures=0, maxConcurrency=1)
    faults.clear()
    assert (failed.status, failed.error) == ("FAILED", "States.ExceedToleratedFailureThreshold")
    assert failed.errors() == {1: "AccessDenied", 2: "NotStarted", 3: "NotStarted"}
    boto3.client("stepfunctions").redrive_execution(executionArn=failed.execution)
    redriven = batches.wait(failed.execution)
    assert (redriven.status, redriven.errors()) == ("SUCCEEDED", {})
    assert [stdout and stdout.split()[0] for stdout in redriven.stdouts()] == ["0", "1", "2", "3"]
    assert redriven.stdouts()[0] == failed.stdouts()[0], "the first item does not run again"


@embedded_only
def test_results_larger_than_a_part_are_written_in_several_invocations(batches: Batches) -> None:
    deployment = batches.product.deployment
    tenant = TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix)
    execution, count = f"{batches.machine.replace(':stateMachine:', ':execution:')}:{uuid.uuid4()}", 450
    folder = BatchFolder(boto3.client("s3"), tenant, execution)
    request = RunBatch.from_json({"items": batches.put_items([1]), "request": {"code": "1"}})
    folder.write_batch(StoredBatch(request, None, count))
    for index in range(count):
        if index % 100 == 99:  # not started
            continue
        stdout = str(index) + ("x" * 60_000 if index % 3 == 0 else "")
        result = RunResult(stdout, "", 0, 5.0)
        record = StoredRecord(Status.DONE, "attempt", 1, "fingerprint", result=result.to_json())
        folder.write(f"Items/id={index:08}/claim.json", record.to_bytes(), "application/json")
    states = [finish(late_operations(tenant, execution), folder, FinishBatch())]
    while not states[-1].finished:
        states.append(finish(late_operations(tenant, execution), folder, FinishBatch()))
    assert [state.written for state in states] == [100, 200, 300, 400, 450]
    lines = [json.loads(line) for line in (batches.read(execution, "results.jsonl") or b"").splitlines()]
    assert [line["index"] for line in lines] == list(range(count))
    assert [line["index"] for line in lines if "error" in line] == [99, 199, 299, 399]
    assert all(line["result"]["stdout"].rstrip("x") == str(line["index"]) for line in lines if "result" in line)
    assert states[-1].summary is not None
    assert (states[-1].summary.succeeded, states[-1].summary.failed) == (446, 4)


def late_operations(tenant: TenantConfig, execution: str) -> Operations:
    """Returns operations whose time is over when one window of results is written."""
    return Operations(Run(execution), tenant, AwsClients(), Deadline.after(25), on_stop_failed=log_stop_failure)


def test_an_item_that_has_run_does_not_run_again(batches: Batches) -> None:
    batch = batches.run([{"n": 1}, {"n": 2}], "import uuid; print(uuid.uuid4())", itemsPerSession=2)
    event: dict[str, Any] = {
        "operation": "run_items",
        "run": {"execution": "another child"},
        "request": {
            "execution": batch.execution,
            "items": [{"index": index, "item": json.dumps({"n": index + 1})} for index in range(2)],
        },
    }
    response = boto3.client("lambda").invoke(FunctionName=batches.function, Payload=json.dumps(event))
    assert json.load(response["Payload"]) == {"succeeded": 2, "failed": 0, "remaining": 0}
    record = json.loads(batches.read(batch.execution, "Items/id=00000000/claim.json") or b"")
    assert record["result"]["stdout"] == batch.stdouts()[0]
    changed = event["request"] | {"items": [{"index": 0, "item": json.dumps({"n": 7})}]}
    again = boto3.client("lambda").invoke(
        FunctionName=batches.function, Payload=json.dumps(event | {"request": changed})
    )
    assert json.load(again["Payload"])["errorType"] == "InvalidRequest"
