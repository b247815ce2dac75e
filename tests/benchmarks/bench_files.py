"""How much memory a run takes in the function: with a 90 MB file in and out, and with a 512 MB file that goes past it.

Each run is a process of its own that does what the handler does, so that its peak is the run's. Asked for by its name,
`largest` does it with one file of LARGEST_BYTES, out and then in.
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
"""Unless the environment variable of this name says otherwise. The embedded AWS needs about three times as much memory:
the file lies in the sandbox's, and MiniStack has the parts of an upload and the object that it makes of them."""
MEBIBYTE = 1024 * 1024
MOST_MIB = 350
FEW_MIB = 8
"""Of noise between two runs of the same, and of clients that only large files need."""
PREPARED_BYTES = 64_000_000
"""Of a part of the input that is put into S3: MiniStack takes requests of 256 MiB."""

# What `code_runner.handlers` does with an event, without Lambda's context, and what it cost. Not by getrusage: its peak
# holds that of the process that started this one.
RUN = """
import json, sys, time
from pathlib import Path
from code_runner.handlers import CLIENTS, TENANT
from code_runner.agentcore.deadline import Deadline
from code_runner.operations import Operations
from sandpiper_contract.events import Event

event = Event.from_json(json.loads(sys.argv[1]), "event")
def on_stop_failed(session_id, error):
    raise SystemExit(f"{session_id} not stopped: {error}")
operations = Operations(event.run, TENANT, CLIENTS, Deadline.after(900), on_stop_failed)
began = time.monotonic()
result = operations.run_code(event.typed_request()).to_json()
seconds = time.monotonic() - began
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
HOW = "peak of a process that runs the handler's code (VmHWM)"


def measurements() -> list[Measurement]:
    """Deploys to an embedded AWS of its own and runs a small program, a large one, and a very large one."""
    with _deployed() as place:
        small = _peak_mib(_measured(place, "small", SMALL, 1))
        through = _peak_mib(_measured(place, "through", COPY, THROUGH_BYTES, _given(place, THROUGH_BYTES)))
        direct = _peak_mib(_measured(place, "direct", COPY, DIRECT_BYTES, _given(place, DIRECT_BYTES)))
    return [
        Measurement("a small run's memory", small, "MiB", None, HOW),
        Measurement("90 MB in and out", through, "MiB", MOST_MIB, f"{HOW}; the file comes and goes in parts of 16 MiB"),
        Measurement(
            "512 MB in and out", direct - small, "MiB more", FEW_MIB, f"{direct:.0f} MiB, beside the small run's"
        ),
    ]


def largest_measurements() -> list[Measurement]:
    """Makes the largest file there may be in a sandbox, and gives what came out to another."""
    size = int(os.environ.get("LARGEST_BYTES", LARGEST_BYTES))
    with _deployed() as place:
        s3 = boto3.client("s3")
        small = _peak_mib(_measured(place, "small", SMALL, 1))
        made = _measured(place, "made", MAKE.format(size=size), size)
        (file,) = made["result"]["files"]
        assert made["result"]["stdout"] == file["sha256"], made
        kept, given = file["s3Uri"].removeprefix(f"s3://{place.bucket}/"), f"{place.prefix}/inputs/largest"
        s3.copy_object(Bucket=place.bucket, Key=given, CopySource={"Bucket": place.bucket, "Key": kept})
        s3.delete_object(Bucket=place.bucket, Key=kept)
        came = _measured(place, "came", DIGEST, None, f"s3://{place.bucket}/{given}")
        assert came["result"]["stdout"] == file["sha256"], came
    return [
        Measurement(
            f"{size:,} bytes {way}", said["seconds"], "s", None, f"{_peak_mib(said) - small:.1f} MiB more than small"
        )
        for way, said in (("out", made), ("in", came))
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


def _measured(
    place: deployment.Deployment, name: str, code: str, made_bytes: int | None, given: str | None = None
) -> dict[str, Any]:
    """What a run said that has the object at `given` as `in`, and made one file of so many bytes, or none."""
    request: dict[str, object] = {"code": code, "outputs": {"maxBytes": MAX_FILE_BYTES}}
    if given is not None:
        request["inputs"] = [{"path": "in", "s3Uri": given}]
    event = {"operation": "run_code", "run": {"execution": f"bench-{name}"}, "request": request}
    settings = {
        "SANDPIPER_BUCKET": place.bucket,
        "SANDPIPER_PREFIX": place.prefix,
        "SANDPIPER_INTERPRETERS": json.dumps(dict(place.interpreters)),
        "POWERTOOLS_SERVICE_NAME": "bench",
    }
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(event)],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert [file["size"] for file in said["result"]["files"]] == ([] if made_bytes is None else [made_bytes]), said
    return said


def _peak_mib(said: dict[str, Any]) -> float:
    return said["peakBytes"] / MEBIBYTE


def _given(place: deployment.Deployment, size: int) -> str:
    """The address of an input of so many bytes."""
    key = f"{place.prefix}/inputs/{size}"
    _put(place.bucket, key, size)
    return f"s3://{place.bucket}/{key}"


def _put(bucket: str, key: str, size: int) -> None:
    s3 = boto3.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, size, PREPARED_BYTES), 1):
        body = os.urandom(min(PREPARED_BYTES, size - start))
        answer = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def _quiet(_: str) -> None:
    """The CDK CLI's lines are not shown."""
