"""What the session function costs: calls of InvokeCodeInterpreter, a cold start, a warm job, and its bundle's size.

Calls are counted beside those of two other ways to do the same work, which are run, too. CPU time is that of processes
of their own that see the bundle and nothing else, so that waiting and other work on the machine count little.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import boto3

from code_runner.tenant_config import TenantConfig
from local_aws import control, environment
from local_aws.settings import StateDirectory
from sandpiper_constructs.bundle import bundle
from sandpiper_contract import settings
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.benchmarks import benchmark_targets
from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local_aws.running_instance import RunningInstance

TENANT = TenantConfig({"sandbox": MANAGED_INTERPRETER}, "bench-runtime", "tenants/bench")
SETTINGS = {
    settings.BUCKET: TENANT.bucket,
    settings.PREFIX: TENANT.prefix,
    settings.INTERPRETERS: json.dumps(TENANT.interpreters),
    "POWERTOOLS_SERVICE_NAME": "bench",
}
CALLS_A_SECOND = 30
"""Of InvokeCodeInterpreter, AgentCore's quota for an account."""
FILES = (1, 10, 100)
INPUTS = [{"path": "in.txt", "text": "1"}]
COLD_STARTS, WARM_JOBS = 11, 30
WARM_PAUSE_SECONDS = 0.1
"""Before each job, whose four calls are otherwise throttled."""
MEBIBYTE = 1024 * 1024

COLD = {
    "ours": "import code_runner.handlers",
    "boto3": "import boto3; boto3.client('bedrock-agentcore'); boto3.client('s3')",
    "sdk": "from bedrock_agentcore.tools.code_interpreter_client import CodeInterpreter; CodeInterpreter('us-east-1')",
}


def measurements() -> list[Measurement]:
    """Packs the bundle, weighs and starts it, then runs it on an embedded AWS of its own."""
    packed = bundle(cache=PROJECT / "build").directory
    with tempfile.TemporaryDirectory() as folder:
        state = StateDirectory(Path(folder, "state"))
        running, _ = control.start(state)
        try:
            environment.apply(running)
            boto3.client("s3").create_bucket(Bucket=TENANT.bucket)
            return [*_calls(), *_cold(packed), *_warm(packed, running), *_sizes(packed)]
        finally:
            control.stop(state)


def _calls() -> Iterator[Measurement]:
    """Each way's calls for the same program, which leaves N files."""
    for files in FILES:
        code = f"for n in range({files}): open(f'file-{{n}}.txt', 'w').write(str(n))"
        outputs = {"maxFiles": files}
        yield _job(
            f"calls of a job, files: {files}",
            3,
            files,
            benchmark_targets.ours(TENANT, {"code": code, "outputs": outputs}),
        )
        yield _job("  in the connector's way", None, files, benchmark_targets.connector(code))
        yield _job("  in the skill's way", None, files, benchmark_targets.skill(code))
    code = "open('file.txt', 'w').write('1')"
    yield _job("calls of a job with inputs", 4, 1, benchmark_targets.ours(TENANT, {"code": code, "inputs": INPUTS}))
    nothing = benchmark_targets.ours(TENANT, {"code": code, "outputs": {"paths": []}})
    yield _job("calls of a job that looks for no files", 1, 0, nothing)


def _job(what: str, most: float | None, files: int, ran: tuple[list[str], int]) -> Measurement:
    tools, came_back = ran
    if came_back != files:
        raise ValueError(f"{what}: {came_back} files of {files} came back")
    rate = f"{CALLS_A_SECOND / len(tools):.2f} jobs/s at {CALLS_A_SECOND} calls/s"
    return Measurement(what, len(tools), "calls", most, f"{rate}; {', '.join(dict.fromkeys(tools))}")


def _cold(packed: Path) -> Iterator[Measurement]:
    """CPU of a process from its first import until it can take a job."""
    places = {
        "ours": ("ours", packed),
        "bundled": ("boto3", packed),
        "installed": ("boto3", None),
        "sdk": ("sdk", None),
    }
    seconds = dict.fromkeys(places, float("inf"))
    for _ in range(COLD_STARTS):
        for name, (program, place) in places.items():
            seconds[name] = min(seconds[name], _cpu_seconds(COLD[program], place))
    ours = seconds["ours"]
    peers = (
        ("bundled", "cold start against boto3 and two clients", 1.15, "those of the same bundle"),
        ("installed", "  against boto3 as it is installed", None, "with its models whole"),
        ("sdk", "cold start against the official SDK", 0.6, "its CodeInterpreter, as it is installed"),
    )
    for name, what, most, how in peers:
        shown = f"{ours * 1e3:.0f} ms of CPU to {seconds[name] * 1e3:.0f}, best of {COLD_STARTS}; {how}"
        yield Measurement(what, ours / seconds[name], "times", most, shown)


def _cpu_seconds(program: str, place: Path | None) -> float:
    """CPU of a program in a new process that sees `place` alone, or what is installed here."""
    find = "" if place is None else f"sys.path.insert(0, {str(place)!r})\n"
    alone = ["-I"] if place is None else ["-I", "-S"]
    script = f"import sys, time\n{find}begun = time.process_time()\n{program}\nprint(time.process_time() - begun)"
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, *alone, "-c", script], env={**SETTINGS, **credentials}, check=True, capture_output=True
    )
    return float(done.stdout)


def _warm(packed: Path, running: RunningInstance) -> Iterator[Measurement]:
    """The handler's CPU beyond that of its calls."""
    command = [Path(__file__).with_name("warm_runs.py"), packed, str(WARM_JOBS), str(WARM_PAUSE_SECONDS)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", *command],
        env={**running.environment(), **SETTINGS, "PATH": os.defpath},
        check=True,
        stdout=subprocess.PIPE,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    ours, bare = (answer["seconds"][side] / WARM_JOBS * 1e3 for side in ("ours", "bare"))
    how = f"{ours:.1f} ms of CPU to {bare:.1f}, mean of {WARM_JOBS}; {len(answer['calls'])} calls of AWS, one file"
    yield Measurement("warm job beyond the same calls by boto3", ours - bare, "ms", 3, how)


def _sizes(packed: Path) -> Iterator[Measurement]:
    """The bundle, zipped."""
    yield Measurement("bundle", _zipped_mib(packed, lambda path: path.suffix != ".pyc"), "MiB", 3, "zipped")
    yield Measurement("bundle with bytecode", _zipped_mib(packed, lambda _: True), "MiB", 6, "zipped")


def _zipped_mib(packed: Path, wanted: Callable[[Path], bool]) -> float:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(packed.rglob("*")):
            if path.is_file() and wanted(path):
                opened.write(path, path.relative_to(packed))
    return len(archive.getvalue()) / MEBIBYTE
