"""How much memory a run takes in the function: with a 90 MB file in and out, and with a 512 MB file that goes past it.

Each run is a process of its own that does what the handler does, so that its peak is the run's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import boto3

from local_aws import control, environment
from local_aws.settings import StateDirectory
from sandpiper import deployment
from sandpiper.toolchain import cdk
from tests.benchmarks.figure import Figure

PROJECT = Path(__file__).resolve().parents[2]
THROUGH_BYTES, DIRECT_BYTES = 90_000_000, 512_000_000
MEBIBYTE = 1024 * 1024
MOST_MIB = 350
FEW_MIB = 8
"""Of noise between two runs of the same, and of clients that only large files need."""
PREPARED_BYTES = 64_000_000
"""Of a part of the input that is put into S3: MiniStack takes requests of 256 MiB."""

# What `code_runner.handlers` does with an event, without Lambda's context, and what it cost. Not by getrusage: its peak
# holds that of the process that started this one.
RUN = """
import json, sys
from pathlib import Path
from code_runner.handlers import CLIENTS, PLACE
from code_runner.deadline import Deadline
from code_runner.operations import Operations
from sandpiper_contract.events import Event

event = Event.from_json(json.loads(sys.argv[1]), "event")
def not_stopped(session_id, error):
    raise SystemExit(f"{session_id} not stopped: {error}")
operations = Operations(event.run, PLACE, CLIENTS, Deadline.after(900), not_stopped)
result = operations.run_code(event.typed_request()).to_json()
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(json.dumps({"peakBytes": int(peak) * 1024, "files": result["files"], "stderr": result["stderr"]}))
"""
COPY = "open('out', 'wb').writelines(open('in', 'rb'))"
SMALL = "open('out', 'w').write('1')"


def figures() -> list[Figure]:
    """Deploys to an embedded AWS of its own and runs a small program, a large one, and a very large one."""
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder, "state"))
        running, _ = control.start(state)
        try:
            environment.apply(running)
            cdk(["bootstrap", f"aws://{running.account}/{running.region}"], PROJECT, _quiet)
            cdk(["deploy", "--all", "--require-approval", "never", "--output", f"{folder}/cdk.out"], PROJECT, _quiet)
            place = deployment.find(boto3.Session(), "local", "demo")
            small = _peak_mib(place, "small", SMALL, 0)
            through = _peak_mib(place, "through", COPY, THROUGH_BYTES)
            direct = _peak_mib(place, "direct", COPY, DIRECT_BYTES)
        finally:
            control.stop(state)
    how = "peak of a process that runs the handler's code (VmHWM)"
    return [
        Figure("a small run's memory", small, "MiB", None, how),
        Figure("90 MB in and out", through, "MiB", MOST_MIB, f"{how}; the file comes and goes in parts of 16 MiB"),
        Figure("512 MB in and out", direct - small, "MiB more", FEW_MIB, f"{direct:.0f} MiB, beside the small run's"),
    ]


def _peak_mib(place: deployment.Deployment, name: str, code: str, size: int) -> float:
    request: dict[str, object] = {"code": code, "outputs": {"maxBytes": 2 * DIRECT_BYTES}}
    if size:
        key = f"{place.prefix}/inputs/{name}"
        _put(place.bucket, key, size)
        request["inputs"] = [{"path": "in", "s3Uri": f"s3://{place.bucket}/{key}"}]
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
    assert [file["size"] for file in said["files"]] == [size or 1], said
    return said["peakBytes"] / MEBIBYTE


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
