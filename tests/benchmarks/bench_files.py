"""Measures the memory of a run with large files: 90 MB through the function, and 512 MB transferred directly.

Each run is a separate process with the code of the handler, so that the peak belongs to that run. `largest`, which runs
only by name, transfers one file of LARGEST_BYTES out of a sandbox and then into another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from local_aws import control, environment
from local_aws.settings import StateDirectory
from sandpiper import deployment
from sandpiper.cdk_cli import cdk
from sandpiper_contract.files import MAX_FILE_BYTES
from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Generator

THROUGH_BYTES, DIRECT_BYTES = 90_000_000, 512_000_000
LARGEST_BYTES = 5 * 1024**3 - 1
"""The default of the environment variable with this name. The embedded AWS needs about this much memory for the file
in the sandbox, and as much disk for the object."""
MEBIBYTE = 1024 * 1024
MAX_MIB = 350
MAX_ADDITIONAL_MIB = 8
"""Allowance for noise between two equal runs, and for clients that only large files need."""
INPUT_PART_BYTES = 64_000_000
"""Size of the parts in which an input is uploaded. MiniStack accepts requests of at most 256 MiB."""

# Runs an event like `code_runner.handlers`, without Lambda's context, and prints its memory and duration. The memory is
# not from getrusage, whose peak includes the parent process.
RUN = """
import json, sys, time
from pathlib import Path
from code_runner.handlers import CLIENTS, TENANT
from code_runner.agentcore.deadline import Deadline
from code_runner.files.storage import Storage
from code_runner.operations import Operations
from sandpiper_contract.events import Event

event = Event.from_json(json.loads(sys.argv[1]), "event")
if event.run.execution == "bench-through":  # as in a sandbox that cannot reach S3
    Storage.put_url = Storage.get_url = lambda *_: "http://127.0.0.1:9/key?X-Amz-Signature=0"
def on_stop_failed(session_id, error):
    raise SystemExit(f"{session_id} not stopped: {error}")
operations = Operations(event.run, TENANT, CLIENTS, Deadline.after(900), on_stop_failed)
started = time.monotonic()
result = operations.run_code(event.typed_request()).to_json()
seconds = time.monotonic() - started
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(json.dumps({"peakBytes": int(peak) * 1024, "seconds": seconds, "result": result}))
"""
COPY = "open('out', 'wb').writelines(open('in', 'rb'))"
SMALL = "open('out', 'w').write('1')"
MAKE = """
import hashlib
sha256, block = hashlib.sha256(), bytes(range(256)) * 4096
with open("out", "wb") as file:
    for number in range(-(-{size} // len(block))):
        data = (number.to_bytes(8) + block)[: min(len(block), {size} - number * len(block))]
        sha256.update(data)
        file.write(data)
print(sha256.hexdigest())
"""
DIGEST = "import hashlib; print(hashlib.file_digest(open('in', 'rb'), 'sha256').hexdigest())"
METHOD = "peak of a process that runs the handler's code (VmHWM)"


def measurements() -> list[Measurement]:
    """Deploys to a separate embedded AWS and runs programs with a small, a large and a very large file."""
    with _deployed() as target:
        small = _peak_mib(_run(target, "small", SMALL, 1))
        through = _peak_mib(_run(target, "through", COPY, THROUGH_BYTES, _create_input(target, THROUGH_BYTES)))
        direct = _peak_mib(_run(target, "direct", COPY, DIRECT_BYTES, _create_input(target, DIRECT_BYTES)))
    return [
        Measurement("memory of a small run", small, "MiB", None, METHOD),
        Measurement(
            "90 MB in and out", through, "MiB", MAX_MIB, f"{METHOD}; the file is transferred in parts of 16 MiB"
        ),
        Measurement(
            "512 MB in and out",
            direct - small,
            "MiB more",
            MAX_ADDITIONAL_MIB,
            f"{direct:.0f} MiB, compared with the small run",
        ),
    ]


def largest_measurements() -> list[Measurement]:
    """Creates a file of the maximum size in a sandbox, and uses it as the input of another run."""
    size = int(os.environ.get("LARGEST_BYTES", LARGEST_BYTES))
    with _deployed() as target:
        s3 = boto3.client("s3")
        small = _peak_mib(_run(target, "small", SMALL, 1))
        created = _run(target, "made", MAKE.format(size=size), size)
        (file,) = created["result"]["files"]
        assert created["result"]["stdout"] == file["sha256"], created
        output_key, input_key = file["s3Uri"].removeprefix(f"s3://{target.bucket}/"), f"{target.prefix}/inputs/largest"
        s3.copy_object(Bucket=target.bucket, Key=input_key, CopySource={"Bucket": target.bucket, "Key": output_key})
        s3.delete_object(Bucket=target.bucket, Key=output_key)
        received = _run(target, "came", DIGEST, None, f"s3://{target.bucket}/{input_key}")
        assert received["result"]["stdout"] == file["sha256"], received
    return [
        Measurement(
            f"{size:,} bytes {direction}",
            measured["seconds"],
            "s",
            None,
            f"{_peak_mib(measured) - small:.1f} MiB more than a small run",
        )
        for direction, measured in (("out", created), ("in", received))
    ]


@contextmanager
def _deployed() -> Generator[deployment.Deployment]:
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder, "state"))
        running, _ = control.start(state)
        try:
            environment.apply(running)
            cdk(["bootstrap", f"aws://{running.account}/{running.region}"], PROJECT, _quiet)
            cdk(["deploy", "--all", "--require-approval", "never", "--output", f"{folder}/cdk.out"], PROJECT, _quiet)
            yield deployment.find(boto3.Session(), "local", "demo")
        finally:
            control.stop(state)


def _run(
    target: deployment.Deployment, name: str, code: str, output_bytes: int | None, input_uri: str | None = None
) -> dict[str, Any]:
    """Runs a program and returns its measurements.

    Args:
        target: the deployed tenant.
        name: part of the execution's name.
        code: the program.
        output_bytes: the size of the file that it creates; None if it creates no file.
        input_uri: the S3 URI of the input file `in`; None for no input.
    """
    request: dict[str, object] = {"code": code, "outputs": {"maxBytes": MAX_FILE_BYTES}}
    if input_uri is not None:
        request["inputs"] = [{"path": "in", "s3Uri": input_uri}]
    event = {"operation": "run_code", "run": {"execution": f"bench-{name}"}, "request": request}
    settings = {
        "SANDPIPER_BUCKET": target.bucket,
        "SANDPIPER_PREFIX": target.prefix,
        "SANDPIPER_INTERPRETERS": json.dumps(dict(target.interpreters)),
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(event)],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    assert [file["size"] for file in measured["result"]["files"]] == ([] if output_bytes is None else [output_bytes]), (
        measured
    )
    return measured


def _peak_mib(measured: dict[str, Any]) -> float:
    return measured["peakBytes"] / MEBIBYTE


def _create_input(target: deployment.Deployment, size: int) -> str:
    """Creates an input of `size` bytes and returns its S3 URI."""
    key = f"{target.prefix}/inputs/{size}"
    _put(target.bucket, key, size)
    return f"s3://{target.bucket}/{key}"


def _put(bucket: str, key: str, size: int) -> None:
    s3 = boto3.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, size, INPUT_PART_BYTES), 1):
        body = os.urandom(min(INPUT_PART_BYTES, size - start))
        response = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": response["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def _quiet(_: str) -> None:
    """Discards a line of the CDK CLI."""
