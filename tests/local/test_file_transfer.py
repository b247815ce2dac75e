"""Inputs and outputs of every size and name are transferred exactly, and no temporary objects remain."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import uuid
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.limits import DIRECT_TRANSFER_BYTES
from code_runner.agentcore.programs import Code
from code_runner.files import chunked_transfer, s3_transfer
from code_runner.files.errors import FileSkipped
from code_runner.files.staging import Staging
from code_runner.files.storage import Storage
from code_runner.operations import Operations
from code_runner.sandbox_scripts import runner as script_runner
from code_runner.session import Files, open_session
from code_runner.tenant_config import TenantConfig
from local_agentcore.faults import Rule
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, PayloadTooLarge, RunError, StorageError
from sandpiper_contract.files import InputFile, Outputs, SkipReason
from sandpiper_contract.globs import Pattern
from sandpiper_contract.requests import RunCode
from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from code_runner.files.s3_objects import StoredObject
    from local_agentcore.admin_client import FaultInjector
    from sandpiper_contract.files import OutputFile
    from sandpiper_contract.results import RunResult
    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="it writes to the deployed bucket and injects faults")

MIB = 1024 * 1024
DIRECT_LIMIT = 20_000_000
"""Size in bytes above which most tests transfer files directly: a fifth of the limit of the product, for speed."""
DIRECT_SIZE = DIRECT_LIMIT + 500_000
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


class RawResponse(io.BytesIO):
    """A response body as botocore reads it."""

    def stream(self, *_: object) -> Generator[bytes]:
        yield self.read()


@dataclass
class Runner:
    """Runs requests like the deployed function, and reads the bucket."""

    product: Product

    def __post_init__(self) -> None:
        self.s3: Any = self.product.session.client("s3")
        self.bucket = self.product.deployment.bucket
        self.prefix = self.product.deployment.prefix
        self.last = ""

    def run(self, code: str, *, inputs: tuple[InputFile, ...] = (), outputs: Outputs = ALL_OUTPUTS) -> RunResult:
        deployment, run = self.product.deployment, Run(str(uuid.uuid4()))
        self.last = run.key
        return Operations(
            run=run,
            tenant=TenantConfig(deployment.interpreters, deployment.bucket, deployment.prefix),
            clients=AwsClients(),
            deadline=Deadline.after(900),
            on_stop_failed=lambda session_id, error: pytest.fail(f"{session_id} not stopped: {error}"),
        ).run_code(RunCode(code=code, inputs=inputs, outputs=outputs))

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
    """Returns a runner. Asserts that no session, staged object or unfinished upload remains after the test."""
    monkeypatch.setattr("code_runner.agentcore.client.RETRY_DELAYS_SECONDS", (0.01, 0.01))
    _set_direct_limit(monkeypatch, DIRECT_LIMIT)
    runner = Runner(product)
    yield runner
    assert product.live_sessions() == []
    assert [key for key in runner.keys("sandbox/") if "/staging/" in key] == []
    assert runner.uploads() == []
    for key in (*runner.keys("runs/"), *runner.keys("inputs/")):  # MiniStack stores objects in memory
        runner.s3.delete_object(Bucket=runner.bucket, Key=key)


def _set_direct_limit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    for module in ("inputs", "outputs"):
        monkeypatch.setattr(f"code_runner.files.{module}.DIRECT_TRANSFER_BYTES", size)


@pytest.fixture
def full_size_runner(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Returns a runner with the limit of the product for direct transfers."""
    _set_direct_limit(monkeypatch, DIRECT_TRANSFER_BYTES)
    return runner


SIZES = {"0 bytes": 0, "17 MiB": 17 * MIB, "18 MiB": 18 * MIB, "90 MB": 90_000_000, "120 MB": 120_000_000}


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
    if size > DIRECT_TRANSFER_BYTES:
        assert base64.b64decode(stored["ChecksumSHA256"]).hex() == file.sha256
    else:
        assert stored["Metadata"] == {"sha256": file.sha256}
    assert result.skipped == ()


def test_files_of_all_transfers_are_returned_in_the_order_of_their_paths(runner: Runner) -> None:
    sizes = {"a": DIRECT_SIZE + 1_000, "b": 1, "c": 17 * MIB, "d": DIRECT_SIZE, "e": 0}
    code = WRITE + "".join(f"write({path!r}, {size}, {path!r})\n" for path, size in sizes.items())
    files = runner.run(code).files
    assert {file.path: (file.size, file.sha256) for file in files} == {
        path: (size, digest(content(size, path))) for path, size in sizes.items()
    }
    assert [file.path for file in files] == sorted(sizes)
    assert all(runner.get(file.s3_uri) == content(file.size, file.path) for file in files if file.s3_uri)


@pytest.mark.parametrize("size", [3, 17 * MIB, DIRECT_SIZE], ids=["small", "chunked", "direct"])
def test_an_input_is_returned_only_if_it_was_changed(runner: Runner, size: int) -> None:
    inputs = (runner.s3_input("same.bin", size, "same"), runner.s3_input("changed.bin", size, "before"))
    result = runner.run(f"{WRITE}write('changed.bin', {size}, 'after!')", inputs=inputs)
    assert [(file.path, file.sha256) for file in result.files] == [("changed.bin", digest(content(size, "after!")))]
    assert result.skipped == ()


NAMES = ("Ünïcode 日本語 🎉.bin", "Case.txt", "case.txt", "-rf", "a b'c\"d$(e).bin", "deep/er/x.bin")


def test_names_are_unchanged_at_every_size(runner: Runner) -> None:
    sizes = dict.fromkeys(NAMES, 5) | {f"large/{NAMES[0]}": 17 * MIB, "large/-rf $(x)'": DIRECT_SIZE}
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


def test_a_folder_in_s3_is_copied_with_its_subfolders(runner: Runner) -> None:
    sizes = {"a.txt": 3, "A.txt": 4, "sub/b ü.bin": 17 * MIB, "sub/er/empty": 0, "sub/large.bin": DIRECT_SIZE}
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


def test_staged_objects_are_deleted_in_one_call_and_not_long_after_the_deadline(runner: Runner) -> None:
    clients, sent = AwsClients(), list[str]()
    events: Any = clients.s3.meta.events

    def record(model: Any, **_: object) -> None:
        sent.append(model.name)

    events.register("before-call.s3", record)
    staging = Staging(clients, S3Object(runner.bucket, f"{runner.prefix}/sandbox/sandbox/staging/{uuid.uuid4()}"))
    with staging.temporary_objects(3, Deadline.after(60)) as addresses:
        for address in addresses:
            runner.s3.put_object(Bucket=address.bucket, Key=address.key)
    assert sent == ["DeleteObjects"]
    assert not set(runner.keys("sandbox/")) & {address.key for address in addresses}
    with staging.temporary_objects(3, Deadline.after(-60)):
        pass
    assert sent == ["DeleteObjects"]


def test_a_symbolic_link_to_a_large_file_is_not_followed(runner: Runner) -> None:
    code = f"{WRITE}import os\nwrite('real', {DIRECT_SIZE}, 'x')\nos.symlink('real', 'link')\nos.mkfifo('pipe')\n"
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


@pytest.mark.parametrize("size", [17 * MIB, DIRECT_SIZE], ids=["chunked", "direct"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_the_listing_is_skipped(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, size: int, change: str
) -> None:
    command, reason = CHANGES[change]

    def after_change(step: Any) -> Any:
        def change_and_run(client: Any, *arguments: Any) -> Any:
            client.execute_idempotent_command(command)
            return step(client, *arguments)

        return change_and_run

    monkeypatch.setattr("code_runner.files.chunked_transfer.split", after_change(chunked_transfer.split))
    monkeypatch.setattr("code_runner.files.s3_transfer.send", after_change(s3_transfer.send))
    result = runner.run(f"{WRITE}write('other', {size}, 'x')\nwrite('out', {size}, 'x')", outputs=ONLY_OUT)
    assert result.files == ()
    assert {file.path: file.reason for file in result.skipped} == {"out": reason, "other": SkipReason.NOT_REQUESTED}


def send_other_bytes(monkeypatch: pytest.MonkeyPatch, runner: Runner) -> None:  # noqa: ARG001 - same signature as the other faults
    """The sandbox sends other bytes than it reports."""
    text = script_runner.script_text

    def program_text(program: str) -> str:
        return text(program).replace("pipe.write(block)", "pipe.write(bytes(len(block)))")

    assert program_text("transfer") != text("transfer")
    monkeypatch.setattr("code_runner.sandbox_scripts.runner.script_text", program_text)


def replace_staged_object(monkeypatch: pytest.MonkeyPatch, runner: Runner) -> None:
    """Another session of the interpreter, whose role can reach staging, replaces the object before the copy."""
    head = Staging.head

    def replace_and_head(staging: Staging, address: S3Object) -> StoredObject:
        runner.s3.put_object(Bucket=address.bucket, Key=address.key, Body=bytes(DIRECT_SIZE))
        return head(staging, address)

    monkeypatch.setattr(Staging, "head", replace_and_head)


@pytest.mark.parametrize("inject_fault", [send_other_bytes, replace_staged_object])
def test_a_large_file_that_was_replaced_in_staging_is_skipped(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, inject_fault: Callable[[pytest.MonkeyPatch, Runner], None]
) -> None:
    inject_fault(monkeypatch, runner)
    result = runner.run(f"{WRITE}write('out', {DIRECT_SIZE}, 'x')")
    assert result.files == ()
    assert {file.path: file.reason for file in result.skipped} == {"out": SkipReason.CHANGED}


def test_a_large_input_that_was_replaced_in_staging_fails_the_run_before_the_code(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_in = Staging.copy_in

    def copy_and_replace(staging: Staging, source: StoredObject, address: S3Object, deadline: Deadline) -> str:
        sha256 = copy_in(staging, source, address, deadline)
        runner.s3.put_object(Bucket=address.bucket, Key=address.key, Body=bytes(DIRECT_SIZE))
        return sha256

    monkeypatch.setattr(Staging, "copy_in", copy_and_replace)
    input_file = InputFile("in", s3_uri=runner.put("inputs/large", b"x" * DIRECT_SIZE))
    with pytest.raises(StorageError, match=r"^inputs\[0\].s3Uri: the staged object was replaced"):
        runner.run("print(1)", inputs=(input_file,))


def test_a_staged_file_is_copied_once_and_only_if_unchanged(runner: Runner) -> None:
    clients = AwsClients()
    run = S3Object(runner.bucket, f"{runner.prefix}/runs/staged")
    storage = Storage(clients.s3, S3Object(runner.bucket, f"{runner.prefix}/inputs"), run)
    address = runner.put("inputs/staged", b"first")

    def copy(staged: StoredObject, sha256: str) -> OutputFile:
        return storage.copy_staged_output("out", staged, sha256, clients.s3_copy, Deadline.after(60), None)

    old = Staging(clients, address).head(address)
    runner.put("inputs/staged", b"other")
    with pytest.raises(FileSkipped, match=SkipReason.CHANGED):
        copy(old, digest(b"first"))
    assert runner.keys("runs/staged/") == []
    current = Staging(clients, address).head(address)
    output = copy(current, digest(b"other"))
    assert (output.size, output.sha256) == (5, digest(b"other"))
    assert copy(current, digest(b"other")) == output  # repeated after a lost response
    with pytest.raises(StorageError, match="PreconditionFailed"):
        copy(current, digest(b"another"))
    with pytest.raises(DeadlineExceeded, match=r"1\.\d s are left; at least 105 s are needed"):
        storage.copy_staged_output(
            "late", replace(current, size=5_000_000_000), "", clients.s3_copy, Deadline.after(1.4), None
        )


def throttle(clients: AwsClients) -> None:
    """Throttles the next copy."""
    body: Any = RawResponse(b"<Error><Code>SlowDown</Code></Error>")
    responses = [AWSResponse("", 503, HTTPHeaders(), body)]

    def refuse(**_: object) -> Any:
        return responses.pop() if responses else None

    clients.s3_copy.meta.events.register("before-send.s3.CopyObject", refuse)


def lose_response(clients: AwsClients) -> None:
    """Loses the response of the next copy, which succeeds."""
    errors = [ReadTimeoutError(endpoint_url="here")]

    def lose(**_: object) -> None:
        if errors:
            raise errors.pop()

    clients.s3_copy.meta.events.register("after-call.s3.CopyObject", lose)


@pytest.mark.parametrize("inject_fault", [throttle, lose_response])
def test_a_copy_is_repeated_when_s3_is_busy_or_the_response_is_lost(
    runner: Runner, monkeypatch: pytest.MonkeyPatch, inject_fault: Callable[[AwsClients], None]
) -> None:
    monkeypatch.setattr("code_runner.files.storage.COPY_RETRY_DELAYS_SECONDS", (0.01,))
    clients = AwsClients()
    inject_fault(clients)
    address = runner.put("inputs/staged", b"once")
    run = S3Object(runner.bucket, f"{runner.prefix}/runs/{inject_fault.__name__}")
    storage = Storage(clients.s3, S3Object(runner.bucket, f"{runner.prefix}/inputs"), run)
    staged = Staging(clients, address).head(address)
    output = storage.copy_staged_output("out", staged, digest(b"once"), clients.s3_copy, Deadline.after(60), None)
    assert (output.size, output.sha256, output.s3_uri) == (
        4,
        digest(b"once"),
        S3Object(run.bucket, f"{run.key}/files/out"),
    )
    assert runner.get(S3Object(run.bucket, f"{run.key}/files/out")) == b"once"


@pytest.fixture
def no_role(runner: Runner) -> Generator[Runner]:
    """Denies the role of the interpreter access to its staging folder during the test."""
    iam: Any = runner.product.session.client("iam")
    (name,) = [r["RoleName"] for r in iam.list_roles()["Roles"] if "InterpretersandboxExecutionRol" in r["RoleName"]]
    denied = {"Effect": "Deny", "Action": "s3:*", "Resource": f"arn:aws:s3:::{runner.bucket}/*/staging/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [denied]})
    iam.put_role_policy(RoleName=name, PolicyName="NoStaging", PolicyDocument=document)
    yield runner
    iam.delete_role_policy(RoleName=name, PolicyName="NoStaging")


def test_without_a_role_a_large_file_is_skipped_and_the_others_are_returned(no_role: Runner) -> None:
    result = no_role.run(f"{WRITE}write('large', {DIRECT_SIZE}, 'x')\nwrite('small', 17_000_000, 'x')")
    assert [file.path for file in result.files] == ["small"]
    assert [(file.path, file.size, file.reason) for file in result.skipped] == [
        ("large", DIRECT_SIZE, SkipReason.TOO_LARGE)
    ]


def test_without_a_role_a_large_input_is_rejected_before_the_code(no_role: Runner) -> None:
    input_file = no_role.s3_input("in.bin", DIRECT_SIZE, "in")
    with pytest.raises(StorageError, match=rf"inputs\[0\].s3Uri: {DIRECT_SIZE:,} bytes, .* needs an execution role"):
        no_role.run("print('ran')", inputs=(input_file,))


@pytest.mark.parametrize("step", ["writeFiles", "executeCommand"])
@pytest.mark.parametrize("size", [17 * MIB, DIRECT_SIZE], ids=["chunked", "direct"])
def test_a_failed_input_leaves_no_objects(runner: Runner, faults: FaultInjector, size: int, step: str) -> None:
    input_file = runner.s3_input("in.bin", size, "in")
    faults.inject(Rule("error", step, code="AccessDeniedException"))
    if size == DIRECT_SIZE and step == "writeFiles":
        assert (
            runner.run("print('ran')", inputs=(input_file,)).stdout == "ran"
        )  # direct transfers do not call writeFiles
        return
    with pytest.raises(RunError) as raised:
        runner.run("print('ran')", inputs=(input_file,))
    assert type(raised.value).__name__ == "AccessDenied"


def test_an_unreadable_chunk_skips_its_file_and_leaves_no_upload(runner: Runner, faults: FaultInjector) -> None:
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
        large = session.run(Code(f"{WRITE}write('large', {DIRECT_SIZE}, 'x')"), outputs=ALL_OUTPUTS)
        assert [(file.path, file.reason) for file in large.skipped] == [("large", SkipReason.TOO_LARGE)]


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
        rf"inputs\[0\]: {DIRECT_SIZE:,} bytes; allowed: an object in S3",
        InputFile.from_bytes("a", bytes(DIRECT_SIZE)),
    )


def test_the_deployed_functions_role_allows_all_transfers(runner: Runner) -> None:
    sizes = {"small": 3, "chunked": 17 * MIB, "direct": 101_000_000}
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
