"""Measures the session function: calls of InvokeCodeInterpreter, a cold start, a warm job, and the size of its bundle.

The calls are compared with those of two other implementations of the same work. CPU time is measured in separate
processes that contain only the bundle, so that waiting time and other work on the machine have little effect.
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
CALLS_PER_SECOND = 30
"""AgentCore's quota of InvokeCodeInterpreter calls for an account."""
FILES = (1, 10, 100)
LARGE_FILES, LARGE_FILE_BYTES = 4, 5 * 1024 * 1024
INPUTS = [{"path": "in.txt", "text": "1"}]
COLD_STARTS, WARM_JOBS = 11, 30
WARM_PAUSE_SECONDS = 0.1
"""Delay before each job. Without it, the three calls of a job are throttled."""
MEBIBYTE = 1024 * 1024

COLD = {
    "ours": "import code_runner.handlers",
    "boto3": "import boto3; boto3.client('bedrock-agentcore'); boto3.client('s3')",
    "sdk": "from bedrock_agentcore.tools.code_interpreter_client import CodeInterpreter; CodeInterpreter('us-east-1')",
}


def measurements() -> list[Measurement]:
    """Packs the bundle, measures its size and cold start, and runs it on a separate embedded AWS."""
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
    """Yields the number of calls of each implementation for the same program, which creates N files."""
    for files in FILES:
        code = f"for n in range({files}): open(f'file-{{n}}.txt', 'w').write(str(n))"
        outputs = {"maxFiles": files}
        yield _job(
            f"calls of a job with {files} files",
            2,
            files,
            benchmark_targets.ours(TENANT, {"code": code, "outputs": outputs}),
        )
        yield _job("  like the connector", None, files, benchmark_targets.connector(code))
        yield _job("  like the skill", None, files, benchmark_targets.skill(code))
    code = f"for n in range({LARGE_FILES}): open(f'file-{{n}}.txt', 'wb').write(bytes({LARGE_FILE_BYTES}))"
    large = benchmark_targets.ours(TENANT, {"code": code, "outputs": {"maxBytes": 10 * LARGE_FILE_BYTES}})
    yield _job("calls of a job with files of 20 MiB", 3, LARGE_FILES, large)
    code = "open('file.txt', 'w').write('1')"
    yield _job("calls of a job with inputs", 3, 1, benchmark_targets.ours(TENANT, {"code": code, "inputs": INPUTS}))
    nothing = benchmark_targets.ours(TENANT, {"code": code, "outputs": {"paths": []}})
    yield _job("calls of a job that collects no files", 1, 0, nothing)


def _job(name: str, maximum: float | None, files: int, result: tuple[list[str], int]) -> Measurement:
    tools, returned = result
    if returned != files:
        raise ValueError(f"{name}: {returned} of {files} files were returned")
    rate = f"{CALLS_PER_SECOND / len(tools):.2f} jobs/s at {CALLS_PER_SECOND} calls/s"
    return Measurement(name, len(tools), "calls", maximum, f"{rate}; {', '.join(dict.fromkeys(tools))}")


def _cold(packed: Path) -> Iterator[Measurement]:
    """Yields the CPU time of a process from its first import until it can accept a job."""
    programs = {
        "ours": ("ours", packed),
        "bundled": ("boto3", packed),
        "installed": ("boto3", None),
        "sdk": ("sdk", None),
    }
    seconds = dict.fromkeys(programs, float("inf"))
    for _ in range(COLD_STARTS):
        for name, (program, packages) in programs.items():
            seconds[name] = min(seconds[name], _cpu_seconds(COLD[program], packages))
    ours = seconds["ours"]
    peers = (
        ("bundled", "cold start against boto3 and two clients", 1.15, "boto3 of the same bundle"),
        ("installed", "  against installed boto3", None, "with all its models"),
        ("sdk", "cold start against the official SDK", 0.6, "its installed CodeInterpreter"),
    )
    for key, name, maximum, method in peers:
        details = f"{ours * 1e3:.0f} ms of CPU against {seconds[key] * 1e3:.0f}, best of {COLD_STARTS}; {method}"
        yield Measurement(name, ours / seconds[key], "times", maximum, details)


def _cpu_seconds(program: str, packages: Path | None) -> float:
    """Returns the CPU seconds of a program in a new process, with only `packages` or with the installed packages."""
    path = "" if packages is None else f"sys.path.insert(0, {str(packages)!r})\n"
    isolated = ["-I"] if packages is None else ["-I", "-S"]
    script = f"import sys, time\n{path}started = time.process_time()\n{program}\nprint(time.process_time() - started)"
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, *isolated, "-c", script], env={**SETTINGS, **credentials}, check=True, capture_output=True
    )
    return float(done.stdout)


def _warm(packed: Path, running: RunningInstance) -> Iterator[Measurement]:
    """Yields the CPU time of the handler in addition to that of its calls."""
    command = [Path(__file__).with_name("warm_runs.py"), packed, str(WARM_JOBS), str(WARM_PAUSE_SECONDS)]
    done = subprocess.run(
        [sys.executable, "-I", "-S", *command],
        env={**running.environment(), **SETTINGS, "PATH": os.defpath},
        check=True,
        stdout=subprocess.PIPE,
    )
    output = json.loads(done.stdout.splitlines()[-1])
    ours, boto3_only = (output["seconds"][side] / WARM_JOBS * 1e3 for side in ("ours", "boto3"))
    calls = len(output["calls"])
    method = f"{ours:.1f} ms of CPU against {boto3_only:.1f}, mean of {WARM_JOBS} jobs; {calls} AWS calls, one file"
    yield Measurement("warm job beyond the same calls by boto3", ours - boto3_only, "ms", 3, method)


def _sizes(packed: Path) -> Iterator[Measurement]:
    """Yields the size of the bundle, compressed."""
    yield Measurement("bundle", _compressed_mib(packed, lambda path: path.suffix != ".pyc"), "MiB", 3, "compressed")
    yield Measurement("bundle with bytecode", _compressed_mib(packed, lambda _: True), "MiB", 6, "compressed")


def _compressed_mib(packed: Path, is_included: Callable[[Path], bool]) -> float:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(packed.rglob("*")):
            if path.is_file() and is_included(path):
                opened.write(path, path.relative_to(packed))
    return len(archive.getvalue()) / MEBIBYTE
