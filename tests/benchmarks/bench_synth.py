"""Compares the synthesis time of the app with that of a flat CDK script with the same resources, at several sizes.

Processes of both run alternately, so that both run under the same load. The first run of each is not counted. The time
is the CPU time of the app and of the CDK's Node process, because other processes may use the machine.
"""

from __future__ import annotations

import collections
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from sandpiper.environment import SessionFunctionOptions
from sandpiper_constructs.bundle import bundle
from tests.benchmarks.measurement import Measurement
from tests.support.project import PROJECT

SIZES = {1: (1, 1), 20: (4, 5), 100: (20, 5), 500: (100, 5)}
"""Tenants, and interpreters of each tenant, by the total number of interpreters."""
REPETITIONS = {1: 5, 20: 5, 100: 3, 500: 3}
MAX_RATIO = {1: 1.3, 20: 1.3, 100: 0.8, 500: 0.8}
"""By the number of interpreters."""
MAX_GROWTH = 1.3


def measurements() -> list[Measurement]:
    """Synthesizes both apps alternately. Raises ValueError if their numbers of resources differ for any type."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = bundle(runtime=SessionFunctionOptions().runtime, cache=folder / "build")
        before = _tree(packed.directory)
        found: list[Measurement] = []
        seconds: dict[int, float] = {}
        for size, (tenants, interpreters) in SIZES.items():
            ours, flat, resources = _compare(folder, packed.directory, size, tenants, interpreters)
            seconds[size] = ours
            method = f"{tenants} tenants, {resources} resources, median of {REPETITIONS[size]}, cdk-nag on"
            found += [
                Measurement(
                    f"{size} interpreters against a flat script", ours / flat, "times", MAX_RATIO[size], method
                ),
                Measurement(f"{size} interpreters", ours, "s", None, f"of CPU; the flat script {flat:.2f} s"),
            ]
        growth = (seconds[500] / 500) / (seconds[100] / 100)
        built = len([path for path in (folder / "build").iterdir() if path not in (packed.directory, packed.archive)])
        changed = int(_tree(packed.directory) != before)
    return [
        *found,
        Measurement(
            "one interpreter of 500 against one of 100", growth, "times", MAX_GROWTH, "CPU for each interpreter"
        ),
        Measurement("bundles built by unchanged apps", built + changed, "", 0, "in all runs above"),
    ]


def _compare(folder: Path, code: Path, size: int, tenants: int, interpreters: int) -> tuple[float, float, int]:
    """Returns the CPU seconds of the app and of the flat script, and the number of resources that each creates."""
    environment = folder / "environments" / "big.yaml"
    environment.parent.mkdir(exist_ok=True)
    environment.write_text(_environment(tenants, interpreters))
    scripts = {
        "ours": [str(PROJECT / "app.py")],
        "flat": [str(Path(__file__).with_name("flat_app.py")), str(code), str(tenants), str(interpreters)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in scripts}
    resources: dict[str, dict[str, int]] = {}
    for repetition in range(REPETITIONS[size] + 1):
        for name, arguments in scripts.items():
            cpu_seconds, resources[name] = _synthesize(folder, arguments)
            if repetition:
                seconds[name].append(cpu_seconds)
    if resources["ours"] != resources["flat"]:
        raise ValueError(f"the two apps create different resources: {resources}")
    return statistics.median(seconds["ours"]), statistics.median(seconds["flat"]), sum(resources["ours"].values())


def _environment(tenants: int, interpreters: int) -> str:
    """Returns an environment file as JSON, which is a subset of YAML."""
    defaults: dict[str, str] = {}
    keys = {f"key-{number:02}": defaults for number in range(interpreters)}
    return json.dumps(
        {
            "name": "big",
            "account": "111122223333",
            "region": "eu-west-1",
            "owner": "tests",
            "tenants": {f"tenant-{number:03}": {"interpreters": keys} for number in range(tenants)},
        }
    )


def _synthesize(folder: Path, arguments: list[str]) -> tuple[float, dict[str, int]]:
    """Returns the CPU seconds of one process with its children, and the number of resources of each type."""
    with tempfile.TemporaryDirectory() as directory:
        # The CDK CLI passes the output folder and the context of cdk.json to an app.
        flags = json.loads((PROJECT / "cdk.json").read_text())["context"] | {"environment": "big"}
        environment = {
            **os.environ,
            "CDK_OUTDIR": directory,
            "CDK_CONTEXT_JSON": json.dumps(flags),
            "JSII_NODE": str(PROJECT / ".venv" / "bin" / "node"),
            "PYTHONPATH": str(PROJECT),
        }
        before = _children_seconds()
        subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        cpu_seconds = _children_seconds() - before
        types = collections.Counter(
            each["Type"]
            for template in Path(directory).glob("*.template.json")
            for each in json.loads(template.read_text())["Resources"].values()
        )
        return cpu_seconds, dict(sorted(types.items()))


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _tree(directory: Path) -> dict[str, int]:
    """Returns the time of the last change of every file, in nanoseconds."""
    return {str(path): path.stat().st_ctime_ns for path in directory.rglob("*")}
