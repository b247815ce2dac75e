"""Inputs and outputs of every size and name are transferred exactly, in few calls, and no temporary objects remain."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import uuid
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.limits import FUNCTION_TRANSFER_BYTES
from code_runner.agentcore.programs import Code
from code_runner.files import chunked_transfer, s3_transfer
from code_runner.files.storage import Storage
from code_runner.operations import Operations
from code_runner.sandbox_scripts import runner as script_runner
from code_runner.session import Files, open_session
from code_runner.tenant_config import TenantConfig
from local_agentcore.faults import Rule
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import InvalidRequest, NotStarted, PayloadTooLarge, RunError, StorageError
from sandpiper_contract.files import InputFile, Outputs, SkipReason
from sandpiper_contract.globs import Pattern
from sandpiper_contract.requests import RunCode
from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from tests.support.recording_clients import RecordingClients
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from code_runner.files.s3_objects import StoredObject
    from local_agentcore.admin_client import FaultInjector
    from sandpiper_contract.results import RunResult
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it writes to the deployed bucket and injects faults")

MIB = 1024 * 1024
FUNCTION_LIMIT = 20_000_000
"""Size in bytes above which most tests need S3 to be reachable from the session: a fifth of the product's limit."""
LARGE = FUNCTION_LIMIT + 500_000
MEDIUM = 17 * MIB
"""A size that is too large for one call."""
NO_S3 = "http://127.0.0.1:9/"
"""An address at which no server listens."""
ALL_OUTPUTS = Outputs(max_bytes=1024 * MIB, max_files=100)
ONLY_OUT = Outputs(paths=(Pattern("out"),), max_bytes=1024 * MIB)
BLOCK = bytes(range(256)) * 4096
WRITE = (
    "block = bytes(range(256)) * 4096\n"
    "def write(path, size, mark):\n"
    "    with open(path, 'wb') as file:\n"
    "        for n in range(-(-size // len(block))):\n"
    "            file.write((f'{mark} {n:09}'.encode() + block)[: min(len(block), size - n * len(block))])\n"
)
"""Python code that writes the bytes of `content`."""


@cache
def content(size: int, mark: str) -> bytes:
    """Returns bytes in which no two blocks are equal, and which differ for each mark."""
    blocks = (
        (f"{mark} {n:09}".encode() + BLOCK)[: min(len(BLOCK), size - n * len(BLOCK))]
        for n in range(-(-size // len(BLOCK)))
    )
    return b"".join(blocks)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Runner:
    """Runs requests like the deployed function, and reads the bucket."""

    product: Product
    calls: list[str] = field(default_factory=list[str])
    """The tools of the calls of the last run."""

    def __post_init__(self) -> None:
        self.s3: Any = self.product.session.client("s3")
        self.bucket = self.product.deployment.bucket
        self.prefix = self.product.deployment.prefix
        self.last = ""

    def run(self, code: str, *, inputs: tuple[InputFile, ...] = (), outputs: Outputs = ALL_OUTPUTS) -> RunResult:
        deployment, run = self.product.deployment, Run(str(uuid.uuid4()))
        self.last = run.key
        self.calls.clear()
        return Operations(
            run=run,
            tenant=TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix),
            clients=RecordingClients(AwsClients(), self._watch),
            deadline=Deadline.after(900),
            on_stop_failed=lambda session_id, error: pytest.fail(f"{session_id} not stopped: {error}"),
        ).run_code(RunCode(code=code, inputs=inputs, outputs=outputs))

    def _watch(self, client: Any) -> Any:
        def record(params: dict[str, Any], **_: object) -> None:
            self.calls.append(json.loads(params["body"])["name"])

        event = "before-call.bedrock-agentcore.InvokeCodeInterpreter"
        client.meta.events.register(event, record, unique_id="test_file_transfer")
        return client

    def s3_input(self, path: str, size: int, name: str) -> InputFile:
        """Creates an object and returns an input that refers to it."""
        return InputFile(path, s3_uri=self.put(f"inputs/{name}", content(size, name)))

    def put(self, path: str, data: bytes) -> S3Object:
        key = f"{self.prefix}/{path}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        return S3Object(self.bucket, key)

    def get(self, address: S3Object) -> bytes:
        return self.s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read()

    def keys(self, folder: str) -> list[str]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{self.prefix}/{folder}")
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        return [entry["Key"] for entry in self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])]


@pytest.fixture
def runner(product: Product, monkeypatch: pytest.MonkeyPatch) -> Generator[Runner]:
    """Returns a runner. Asserts that no session or unfinished upload remains after the test."""
    monkeypatch.setattr("code_runner.agentcore.tool_invoker.RETRY_DELAYS_SECONDS", (0.01, 0.01))
    _set_function_limit(monkeypatch, FUNCTION_LIMIT)
    runner = Runner(product)
    reachable = runner.keys("sandbox/")  # where code of other sessions can reach it
    yield runner
    assert product.live_sessions() == []
    assert runner.uploads() == []
    assert runner.keys("sandbox/") == reachable
    keys = [*runner.keys("runs/"), *runner.keys("inputs/")]  # MiniStack stores objects in memory
    for start in range(0, len(keys), 1_000):
        objects = [{"Key": key} for key in keys[start : start + 1_000]]
        runner.s3.delete_objects(Bucket=runner.bucket, Delete={"Objects": objects})


def _set_function_limit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in ("inputs", "outputs"):
        monkeypatch.setattr(f"code_runner.files.{module}.FUNCTION_TRANSFER_BYTES", size)


@pytest.fixture
def full_size_runner(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Returns a runner with the product's limit for transfers through the function."""
    _set_function_limit(monkeypatch, FUNCTION_TRANSFER_BYTES)
    return runner


SIZES = {"0 bytes": 0, "3 MiB": 3 * MIB, "16 MiB": 16 * MIB, "17 MiB": 17 * MIB, "120 MB": 120_000_000}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_file_is_transferred_exactly_in_both_directions(full_size_runner: Runner, size: int) -> None:
    runner = full_size_runner
    check = (
        "import hashlib, os\nprint(hashlib.sha256(open('deep/in.bin', 'rb').read()).hexdigest())\n"
        "print([name for name in os.listdir() if 'sandpiper' in name])\n"
    )
    result = runner.run(
        f"{check}{WRITE}write('deep/out.bin', {size}, 'out')", inputs=(runner.s3_input("deep/in.bin", size, "in"),)
    )
    assert result.stdout.splitlines() == [digest(content(size, "in")), "[]"], result.stderr
    (file,) = result.files
    assert (file.path, file.name, file.size, file.sha256) == (
        "deep/out.bin",
        "out.bin",
        size,
        digest(content(size, "out")),
    )
    address = S3Object(runner.bucket, f"{runner.prefix}/runs/{runner.last}/files/deep/out.bin")
    assert file.s3_uri == address
    assert runner.get(address) == content(size, "out")
    stored = runner.s3.head_object(Bucket=runner.bucket, Key=address.key, ChecksumMode="ENABLED")
    assert stored["ContentType"] == "application/octet-stream"
    assert base64.b64decode(stored["ChecksumSHA256"]).hex() == file.sha256
    assert stored["Metadata"] == {"sha256": file.sha256}
    assert result.skipped == ()


def test_files_of_all_transfers_are_returned_in_the_order_of_their_paths(runner: Runner) -> None:
    sizes = {"a": LARGE + 1_000, "b": 1, "c": 17 * MIB, "d": LARGE, "e": 0}
    code = WRITE + "".join(f"write({path!r}, {size}, {path!r})\n" for path, size in sizes.items())
    files = runner.run(code).files
    assert {file.path: (file.size, file.sha256) for file in files} == {
        path: (size, digest(content(size, path))) for path, size in sizes.items()
    }
    assert [file.path for file in files] == sorted(sizes)
    assert all(runner.get(file.s3_uri) == content(file.size, file.path) for file in files if file.s3_uri)


@pytest.mark.parametrize("size", [3, MEDIUM, LARGE], ids=["small", "medium", "large"])
def test_an_input_is_returned_only_if_it_was_changed(runner: Runner, size: int) -> None:
    inputs = (runner.s3_input("same.bin", size, "same"), runner.s3_input("changed.bin", size, "before"))
    result = runner.run(f"{WRITE}write('changed.bin', {size}, 'after!')", inputs=inputs)
    assert [(file.path, file.sha256) for file in result.files] == [("changed.bin", digest(content(size, "after!")))]
    assert result.skipped == ()


NAMES = ("Ünïcode 日本語 🎉.bin", "Case.txt", "case.txt", "-rf", "a b'c\"d$(e).bin", "deep/er/x.bin")


def test_names_are_unchanged_at_every_size(runner: Runner) -> None:
    sizes = dict.fromkeys(NAMES, 5) | {f"large/{NAMES[0]}": 17 * MIB, "large/-rf $(x)'": LARGE}
    inputs = tuple(runner.s3_input(path, size, path) for path, size in sizes.items())
    code = (
        "import os, pathlib\n"
        "for path in [p for p in pathlib.Path('.').rglob('*') if p.is_file() and p.parts[0] in TOPS]:\n"
        "    target = pathlib.Path('out', path)\n"
        "    target.parent.mkdir(parents=True, exist_ok=True)\n"
        "    target.write_bytes(path.read_bytes())\n"
    ).replace("TOPS", repr({path.split("/")[0] for path in sizes}))
    result = runner.run(code, inputs=inputs)
    assert {file.path: file.sha256 for file in result.files} == {
        f"out/{path}": digest(content(size, path)) for path, size in sizes.items()
    }, (result.stderr, result.skipped)


def test_a_file_whose_key_is_too_long_for_s3_is_skipped_and_the_others_are_returned(runner: Runner) -> None:
    path = "/".join(["🎉" * 60] * 4)
    folder = path.rpartition("/")[0]
    code = f"import os; os.makedirs({folder!r}); write({path!r}, {MEDIUM}, 'x'); write('b', {MEDIUM}, 'x')"
    result = runner.run(f"{WRITE}{code}")
    assert [(file.path, file.sha256) for file in result.files] == [("b", digest(content(MEDIUM, "x")))]
    assert [(file.path, file.reason) for file in result.skipped] == [(path, SkipReason.NOT_STORED)]


def test_a_folder_in_s3_is_copied_with_its_subfolders(runner: Runner) -> None:
    sizes = {"a.txt": 3, "A.txt": 4, "sub/b ü.bin": 17 * MIB, "sub/er/empty": 0, "sub/large.bin": LARGE}
    for path, size in sizes.items():
        runner.put(f"inputs/set/{path}", content(size, path))
    runner.put("inputs/set/sub/", b"")
    runner.put("inputs/setting/not.txt", b"1")
    folder = InputFile("data", s3_prefix=S3Object(runner.bucket, f"{runner.prefix}/inputs/set/"))
    code = (
        "import hashlib, json, pathlib\n"
        "files = [p for p in pathlib.Path('data').rglob('*') if p.is_file()]\n"
        "print(json.dumps({str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}))\n"
    )
    result = runner.run(code, inputs=(folder,))
    assert json.loads(result.stdout) == {f"data/{path}": digest(content(size, path)) for path, size in sizes.items()}
    assert result.files == ()


def test_a_symbolic_link_to_a_large_file_is_not_followed(runner: Runner) -> None:
    code = f"{WRITE}import os\nwrite('real', {LARGE}, 'x')\nos.symlink('real', 'link')\nos.mkfifo('pipe')\n"
    result = runner.run(code)
    assert [file.path for file in result.files] == ["real"]
    assert {file.path: file.reason for file in result.skipped} == dict.fromkeys(
        ("link", "pipe"), SkipReason.NOT_REGULAR
    )


CHANGES = {
    "link": ("rm out && ln -s other out", SkipReason.UNREADABLE),
    "folder": ("rm out && mkdir out", SkipReason.UNREADABLE),
    "changed bytes": ("printf X | dd of=out bs=1 conv=notrunc", SkipReason.CHANGED),
    "appended bytes": ("printf more >> out", SkipReason.CHANGED),
}


@pytest.mark.parametrize("s3_reachable", [True, False], ids=["to S3", "through the function"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_the_listing_is_skipped(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, change: str, s3_reachable: bool
) -> None:
    command, reason = CHANGES[change]

    def after_change(step: Any) -> Any:
        def change_and_run(client: Any, *arguments: Any) -> Any:
            client.execute_idempotent_command(command)
            return step(client, *arguments)

        return change_and_run

    if s3_reachable:
        monkeypatch.setattr("code_runner.files.s3_transfer.upload", after_change(s3_transfer.upload))
    else:
        make_s3_unreachable(monkeypatch)
        monkeypatch.setattr("code_runner.files.chunked_transfer.split", after_change(chunked_transfer.split))
    result = runner.run(f"{WRITE}write('other', 5, 'x')\nwrite('out', {MEDIUM}, 'x')", outputs=ONLY_OUT)
    assert result.files == ()
    assert {file.path: file.reason for file in result.skipped} == {"out": reason, "other": SkipReason.NOT_REQUESTED}


def make_s3_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signs URLs whose host the session cannot reach, like a network without an endpoint of S3."""

    def sign(*_: object) -> str:
        return f"{NO_S3}key?X-Amz-Signature=0"

    monkeypatch.setattr(Storage, "put_url", sign)
    monkeypatch.setattr(Storage, "get_url", sign)


def invalidate_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes the signature of each URL, so that S3 rejects it."""

    def invalid(sign: Callable[..., str]) -> Callable[..., str]:
        return lambda *arguments: sign(*arguments)[:-8] + "0" * 8

    monkeypatch.setattr(Storage, "put_url", invalid(Storage.put_url))
    monkeypatch.setattr(Storage, "get_url", invalid(Storage.get_url))


NO_TRANSFER = pytest.mark.parametrize("prevent", [make_s3_unreachable, invalidate_signatures])


@NO_TRANSFER
def test_without_s3_files_pass_through_the_function_and_larger_ones_are_skipped(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, prevent: Any
) -> None:
    prevent(monkeypatch)
    sizes = {"a": 1_000, "b": MEDIUM, "c": 5 * MIB}
    code = WRITE + "".join(f"write({path!r}, {size}, {path!r})\n" for path, size in sizes.items())
    result = runner.run(f"{code}write('large', {LARGE}, 'x')")
    assert {file.path: file.sha256 for file in result.files} == {
        path: digest(content(size, path)) for path, size in sizes.items()
    }
    assert [(file.path, file.size, file.reason) for file in result.skipped] == [("large", LARGE, SkipReason.TOO_LARGE)]


@NO_TRANSFER
def test_without_s3_inputs_pass_through_the_function_and_larger_ones_are_rejected(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, prevent: Any
) -> None:
    prevent(monkeypatch)
    inputs = (runner.s3_input("a.bin", MEDIUM, "a"), runner.s3_input("b.bin", 5, "b"), InputFile("c", text=b"c"))
    code = (
        "import hashlib\nfor path in ('a.bin', 'b.bin', 'c'):\n"
        "    print(hashlib.sha256(open(path, 'rb').read()).hexdigest())"
    )
    expected = [digest(content(MEDIUM, "a")), digest(content(5, "b")), digest(b"c")]
    result = runner.run(code, inputs=inputs)
    assert (result.stdout.splitlines(), result.files, result.skipped) == (expected, (), ())
    large = runner.s3_input("in.bin", LARGE, "in")
    status = "unreachable" if prevent is make_s3_unreachable else "403 SignatureDoesNotMatch"
    message = rf"inputs\[0\].s3Uri: {LARGE:,} bytes; allowed: {FUNCTION_LIMIT:,}, or a session .*: {status}$"
    with pytest.raises(PayloadTooLarge, match=message):
        runner.run("print('ran')", inputs=(large,))
    assert "executeCode" not in runner.calls


def test_an_upload_that_the_sandbox_only_claims_is_not_a_file_in_s3(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = script_runner.script_text

    def script_text(script: str) -> str:
        return text(script).replace('exchange("PUT", ', 'exchange("HEAD", ').replace('{200: "sent"', '{403: "sent"')

    assert script_text("transfer") != text("transfer")
    monkeypatch.setattr("code_runner.sandbox_scripts.runner.script_text", script_text)
    result = runner.run(f"{WRITE}write('out', {MEDIUM}, 'x')\nwrite('large', {LARGE}, 'x')")
    assert [(file.path, file.sha256) for file in result.files] == [("out", digest(content(MEDIUM, "x")))]
    assert {file.path: file.reason for file in result.skipped} == {"large": SkipReason.TOO_LARGE}


def test_a_repeated_upload_finds_its_objects(runner: Runner, faults: FaultInjector) -> None:
    faults.inject(Rule("disconnect", "executeCommand", at="unanswered", calls=(2,)))
    result = runner.run(f"{WRITE}write('out', {LARGE}, 'x')")
    assert runner.calls == ["executeCode", "executeCommand", "executeCommand", "executeCommand"]
    assert [(file.path, file.sha256) for file in result.files] == [("out", digest(content(LARGE, "x")))]


def test_an_upload_without_a_response_is_checked_in_s3(
    runner: Runner, faults: FaultInjector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("code_runner.agentcore.tool_invoker.RETRY_DELAYS_SECONDS", ())
    faults.inject(Rule("disconnect", "executeCommand", at="unanswered", calls=(2,)))
    result = runner.run(f"{WRITE}write('out', {LARGE}, 'x')")
    assert [(file.path, file.sha256) for file in result.files] == [("out", digest(content(LARGE, "x")))]


UPLOAD_FAULTS = {
    "throttled": (Rule("throttling", "executeCommand", calls=(2,)), ("large", "medium")),
    "failed before": (Rule("error", "executeCommand", calls=(2,)), ("large", "medium")),
    "failed after": (Rule("error", "executeCommand", at="after", calls=(2,)), ("large", "medium")),
    "closed before": (Rule("disconnect", "executeCommand", at="before", calls=(2,)), ("large", "medium")),
    "closed during": (Rule("disconnect", "executeCommand", at="during", calls=(2,)), ("large", "medium")),
    "denied": (Rule("error", "executeCommand", code="AccessDeniedException", calls=(2,)), ("medium",)),
    "always denied": (Rule("error", "executeCommand", code="AccessDeniedException", calls=tuple(range(2, 9))), ()),
    "no session": (Rule("session_dies", "executeCommand", calls=(2,)), ()),
}


@pytest.mark.parametrize("fault", UPLOAD_FAULTS)
def test_after_a_fault_of_an_upload_each_file_is_returned_or_skipped(
    runner: Runner, faults: FaultInjector, fault: str
) -> None:
    rule, returned = UPLOAD_FAULTS[fault]
    faults.inject(rule)
    code = f"{WRITE}write('large', {LARGE}, 'x'); write('medium', {MEDIUM}, 'x'); write('small', 5, 'x'); print('ran')"
    result = runner.run(code)
    assert result.stdout == "ran"
    assert [file.path for file in result.files] == [*returned, "small"]
    assert [file.path for file in result.skipped] == [path for path in ("large", "medium") if path not in returned]
    assert all(runner.get(file.s3_uri) == content(file.size, "x") for file in result.files if file.s3_uri)
    assert runner.calls.count("executeCode") == 1


def test_another_object_under_the_same_key_is_not_replaced(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    sign = Storage.put_url

    def put_first(storage: Storage, path: str, *arguments: Any) -> str:
        key = f"{storage.run.key}/files/{path}"
        runner.s3.put_object(Bucket=storage.run.bucket, Key=key, Body=b"another")
        return sign(storage, path, *arguments)

    monkeypatch.setattr(Storage, "put_url", put_first)
    result = runner.run(f"{WRITE}write('out', {MEDIUM}, 'x')")
    assert [(file.path, file.reason) for file in result.skipped] == [("out", SkipReason.NOT_STORED)]
    assert runner.get(S3Object(runner.bucket, f"{runner.prefix}/runs/{runner.last}/files/out")) == b"another"


def test_an_input_that_changes_before_it_is_fetched_fails_the_run_before_the_code(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = Storage.get_url

    def sign_and_replace(storage: Storage, stored: StoredObject, seconds: float) -> str:
        url = sign(storage, stored, seconds)
        runner.s3.put_object(Bucket=stored.address.bucket, Key=stored.address.key, Body=bytes(stored.size))
        return url

    monkeypatch.setattr(Storage, "get_url", sign_and_replace)
    with pytest.raises(NotStarted, match=r"^inputs\[0\].s3Uri: the object changed while it was read"):
        runner.run("print(1)", inputs=(runner.s3_input("in", MEDIUM, "in"),))
    assert runner.calls == ["executeCommand"]


def test_a_url_creates_one_object_with_one_content_once(runner: Runner) -> None:
    run = S3Object(runner.bucket, f"{runner.prefix}/runs/{uuid.uuid4()}")
    storage = Storage(AwsClients().s3, S3Object(runner.bucket, f"{runner.prefix}/inputs"), run)
    data, headers = b"12345", {"content-type": "text/csv", "if-none-match": "*", "x-amz-meta-sha256": digest(b"12345")}
    headers["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(digest(data))).decode()
    url = storage.put_url("a.csv", len(data), digest(data), 60)

    def send(method: str, address: str, body: bytes | None, **changed: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in changed.items()}
        request = Request(address, body, {**headers, **sent}, method=method)  # noqa: S310 - of the embedded AWS
        try:
            with urlopen(request) as response:  # noqa: S310
                return response.status
        except HTTPError as error:
            return error.code

    other = digest(b"other")
    assert send("PUT", url, b"other") == 400
    assert send("PUT", url, b"123456") == 403
    assert send("PUT", url, b"other", x_amz_checksum_sha256=base64.b64encode(bytes.fromhex(other)).decode()) == 403
    assert send("PUT", url, data, if_none_match="x") == 403
    assert send("PUT", url, data, content_type="text/html") == 403
    assert send("PUT", url.replace("/a.csv", "/b.csv"), data) == 403
    assert send("PUT", url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), data) == 403
    assert send("GET", url, None) == 403
    assert send("DELETE", url, None) == 403
    assert not storage.has_output("a.csv", len(data), digest(data))
    assert send("PUT", url, data) == 200
    assert send("PUT", url, data) == 412
    assert storage.has_output("a.csv", len(data), digest(data))
    assert not storage.has_output("a.csv", len(data), other)


def test_urls_are_not_logged(runner: Runner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    invalidate_signatures(monkeypatch)
    runner.run(f"{WRITE}write('out', {MEDIUM}, 'x')", inputs=(runner.s3_input("in", MEDIUM, "in"),))
    assert "out not sent to S3 by the session: 403 SignatureDoesNotMatch" in caplog.text
    assert "X-Amz" not in caplog.text


@pytest.mark.parametrize("step", ["writeFiles", "executeCommand"])
def test_a_failed_input_fails_the_run_before_the_code(runner: Runner, faults: FaultInjector, step: str) -> None:
    input_file = runner.s3_input("in.bin", 5 if step == "writeFiles" else MEDIUM, "in")
    faults.inject(Rule("error", step, code="AccessDeniedException"))
    with pytest.raises(RunError) as raised:
        runner.run("print('ran')", inputs=(input_file,))
    assert type(raised.value).__name__ == "AccessDenied"
    assert runner.calls == [step]


def test_an_unreadable_chunk_skips_its_file_and_leaves_no_upload(
    runner: Runner, faults: FaultInjector, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_s3_unreachable(monkeypatch)
    faults.inject(Rule("error", "readFiles", code="AccessDeniedException"))
    result = runner.run(f"{WRITE}write('out', 19_000_000, 'x')")
    assert [(file.path, file.reason) for file in result.skipped] == [("out", SkipReason.UNREADABLE)]


def test_without_a_bucket_chunks_are_joined_in_memory(runner: Runner) -> None:
    with open_session(
        AwsClients(),
        next(iter(runner.product.deployment.interpreters.values())),
        timeout_seconds=300,
        deadline=Deadline.after(300),
        on_stop_failed=lambda session_id, error: pytest.fail(f"{session_id} not stopped: {error}"),
        files=Files(),
    ) as session:
        inputs = (InputFile.from_bytes("in.bin", content(18 * MIB, "in")),)
        result = session.run(
            Code("open('out.bin', 'wb').write(open('in.bin', 'rb').read())"), inputs=inputs, outputs=ALL_OUTPUTS
        )
        assert [file.base64 for file in result.files] == [content(18 * MIB, "in")]
        assert "sandpiper" not in str(session.client.list_files())
        large = session.run(Code(f"{WRITE}write('large', {LARGE}, 'x')"), outputs=ALL_OUTPUTS)
        assert [(file.path, file.reason) for file in large.skipped] == [("large", SkipReason.TOO_LARGE)]


def test_the_managed_interpreter_without_a_role_transfers_large_files(runner: Runner) -> None:
    """A link in the place of a folder of an input is not followed."""
    folder = f"{runner.prefix}/runs/{uuid.uuid4()}"
    inputs = S3Object(runner.bucket, f"{runner.prefix}/inputs")
    files = Files(Storage(AwsClients().s3, inputs, S3Object(runner.bucket, folder)), 0)
    with open_session(interpreter_id=MANAGED_INTERPRETER, timeout_seconds=300, files=files) as session:
        result = session.run(
            Code(f"{WRITE}write('out', {LARGE}, 'out'); import os; os.symlink('/tmp', 'link')"),
            inputs=(runner.s3_input("in", LARGE, "in"),),
            outputs=ALL_OUTPUTS,
        )
        assert [(file.path, file.sha256) for file in result.files] == [("out", digest(content(LARGE, "out")))]
        assert [(file.path, file.reason) for file in result.skipped] == [("link", SkipReason.NOT_REGULAR)]
        with pytest.raises(
            InvalidRequest, match=r"inputs\[0\].s3Uri: link/in cannot be written: unwritable: Not a dir"
        ):
            session.run(Code("1"), inputs=(runner.s3_input("link/in", MEDIUM, "in"),))


CALLS: dict[str, tuple[str, int]] = {
    "no file": ("1", 2),
    "1 file": ("write('a', 5, 'x')", 2),
    "10 files": ("[write(f'{n}', 5, 'x') for n in range(10)]", 2),
    "100 files": ("[write(f'{n}', 5, 'x') for n in range(100)]", 2),
    "3 MiB": (f"write('a', {3 * MIB}, 'x')", 2),
    "10 MiB": (f"[write(f'{{n}}', {MIB}, 'x') for n in range(10)]", 3),
    "20 MiB": (f"[write(f'{{n}}', {5 * MIB}, 'x') for n in range(4)]", 3),
    "25 MB in 1,000 files": ("[write(f'{n:0100}', 25_000, 'x') for n in range(1000)]", 3),
    "mixed": (f"write('a', {LARGE}, 'x'); write('b', {MEDIUM}, 'x'); [write(f'{{n}}', 5, 'x') for n in range(9)]", 3),
}


@pytest.mark.parametrize("case", CALLS)
def test_a_job_takes_two_calls_or_three_for_large_files(runner: Runner, case: str) -> None:
    code, calls = CALLS[case]
    result = runner.run(f"{WRITE}{code}\n", outputs=Outputs(max_bytes=1024 * MIB, max_files=1_000))
    assert (len(runner.calls), result.exit_code, result.skipped) == (calls, 0, ()), (runner.calls, result.stderr)
    assert all(runner.get(file.s3_uri) == content(file.size, "x") for file in result.files[:1] if file.s3_uri)


INPUTS: dict[str, dict[str, int]] = {
    "small objects": {"a": 5, "b": 5 * MIB, "text": 5},
    "large objects": {"a": LARGE, "b": MEDIUM, "c": 5},
    "large objects and text": {"a": LARGE, "b": 5, "text": 5},
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs_take_one_call(runner: Runner, case: str) -> None:
    inputs = [
        InputFile(path, text=b"12345") if path == "text" else runner.s3_input(path, size, path)
        for path, size in INPUTS[case].items()
    ]
    result = runner.run(
        "import os; print([os.stat(p).st_size for p in sorted(os.listdir()) if p in 'abctext'])", inputs=tuple(inputs)
    )
    assert (len(runner.calls), result.stdout) == (3, str(list(INPUTS[case].values()))), result
    assert (result.files, result.skipped) == ((), ())
    without = runner.run("print(len(open('a').read()))", inputs=(InputFile("a", text=b"1"),), outputs=Outputs(paths=()))
    assert (runner.calls, without.stdout) == (["writeFiles", "executeCode"], "1")


def test_invalid_inputs_are_rejected_with_name_and_limit(runner: Runner) -> None:
    for number in range(3):
        runner.put(f"inputs/odd/{number}/../x", b"1")
    for path in ("same/b", "same/b/c"):
        runner.put(f"inputs/{path}", b"1")
    folder = f"{runner.prefix}/inputs"

    def assert_rejected(error: type[RunError], message: str, *inputs: InputFile) -> None:
        with pytest.raises(error, match=message):
            runner.run("1", inputs=inputs)

    def prefix(path: str, key: str) -> InputFile:
        return InputFile(path, s3_prefix=S3Object(runner.bucket, key))

    assert_rejected(
        InvalidRequest,
        r"inputs\[0\].s3Prefix s3://.*/nothing/: none; allowed: 1 to 1,000",
        prefix("a", f"{folder}/nothing/"),
    )
    assert_rejected(
        InvalidRequest, r"inputs\[0\].s3Prefix is .*; allowed: objects below ", prefix("a", f"{runner.prefix}/runs/")
    )
    assert_rejected(
        InvalidRequest, r"inputs\[0\].s3Prefix: a file's path is 'a/0/../x'; allowed: ", prefix("a", f"{folder}/odd/")
    )
    assert_rejected(
        InvalidRequest,
        r"inputs\[0\].s3Prefix is 'd/b/c'; allowed: .* none below another file",
        prefix("d", f"{folder}/same/"),
    )
    assert_rejected(
        StorageError,
        r"inputs\[0\].s3Uri s3://.*/no: the object (or the bucket does not exist|does not exist or this role)",
        InputFile("a", s3_uri=S3Object(runner.bucket, f"{folder}/no")),
    )
    assert_rejected(
        PayloadTooLarge,
        rf"inputs\[0\]: {LARGE:,} bytes; allowed: {FUNCTION_LIMIT:,}, or an object in S3",
        InputFile.from_bytes("a", bytes(LARGE)),
    )


def test_the_deployed_functions_role_allows_all_transfers(runner: Runner) -> None:
    sizes = {"small": 3, "medium": 17 * MIB, "large": 101_000_000}
    for path, size in sizes.items():
        runner.put(f"inputs/role/{path}", content(size, path))
    address = f"s3://{runner.bucket}/{runner.prefix}/inputs/role/"
    finished = runner.product.run(
        "import os, shutil; shutil.copytree('in', 'out')",
        inputs=[{"path": "in", "s3Prefix": address}],
        outputs={"maxBytes": 500_000_000},
    )
    assert {file["path"]: file["sha256"] for file in finished.result["files"]} == {
        f"out/{path}": digest(content(size, path)) for path, size in sizes.items()
    }, finished.result


def test_a_folder_of_more_than_1000_objects_is_rejected(runner: Runner) -> None:
    names = ["".join(uuid.uuid4().hex for _ in range(6)) for _ in range(1_001)]
    for name in names:
        runner.put(f"inputs/many/{name}", b"1")
    many = InputFile("a", s3_prefix=S3Object(runner.bucket, f"{runner.prefix}/inputs/many/"))
    with pytest.raises(InvalidRequest, match=r"more than 1,000; allowed: 1 to 1,000 objects"):
        runner.run("1", inputs=(many,))
    runner.s3.delete_object(Bucket=runner.bucket, Key=f"{runner.prefix}/inputs/many/{names[0]}")
    result = runner.run("import os; print(len(os.listdir('a'))); open('new', 'w').close()", inputs=(many,))
    assert result.stdout == "1000"
    # The names of the inputs exceed the size of a command, but the inputs are not returned as outputs.
    assert ([file.path for file in result.files], result.skipped) == (["new"], ())
