"""How much slower our app synthesises than a flat CDK script with the same resources, and how it grows.

Whole processes are measured, one of each in turn, so that both see the same machine; the first of each is not counted.
Time is that of the processor, of the app and of the CDK's own process, since others may use the machine as well.
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
"""Interpreters, as tenants and interpreters of each."""
REPETITIONS = {1: 5, 20: 5, 100: 3, 500: 3}
MOST_TIMES = 1.3
MOST_GROWTH = 1.3


def measurements() -> list[Measurement]:
    """Synthesises both apps in turn. Raises ValueError if they do not make the same resources, type by type."""
    with tempfile.TemporaryDirectory() as name:
        workplace = Path(name)
        packed = bundle(runtime=SessionFunctionOptions().runtime, cache=workplace / "build")
        before = _tree(packed.directory)
        found: list[Measurement] = []
        seconds: dict[int, float] = {}
        for size, (tenants, interpreters) in SIZES.items():
            ours, flat, resources = _compared(workplace, packed.directory, size, tenants, interpreters)
            seconds[size] = ours
            how = f"{tenants} tenants, {resources} resources, median of {REPETITIONS[size]}, cdk-nag on"
            found += [
                Measurement(f"{size} interpreters against a flat script", ours / flat, "times", MOST_TIMES, how),
                Measurement(f"{size} interpreters", ours, "s", None, f"of CPU; the flat script {flat:.2f} s"),
            ]
        growth = (seconds[500] / 500) / (seconds[100] / 100)
        built = len([path for path in (workplace / "build").iterdir() if path != packed.directory])
        changed = int(_tree(packed.directory) != before)
    return [
        *found,
        Measurement("an interpreter of 500 against one of 100", growth, "times", MOST_GROWTH, "CPU for each"),
        Measurement("bundles built by unchanged apps", built + changed, "", 0, "of all the runs above"),
    ]


def _compared(workplace: Path, code: Path, size: int, tenants: int, interpreters: int) -> tuple[float, float, int]:
    """CPU seconds of our app and of the flat script, and how many resources each makes."""
    environment = workplace / "environments" / "big.yaml"
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
            took, resources[name] = _synthesise(workplace, arguments)
            if repetition:
                seconds[name].append(took)
    if resources["ours"] != resources["flat"]:
        raise ValueError(f"the two apps make different resources: {resources}")
    return statistics.median(seconds["ours"]), statistics.median(seconds["flat"]), sum(resources["ours"].values())


def _environment(tenants: int, interpreters: int) -> str:
    """An environment file, in YAML's subset that JSON is."""
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


def _synthesise(workplace: Path, arguments: list[str]) -> tuple[float, dict[str, int]]:
    """CPU seconds of one whole process with its children, and how many resources of each type it made."""
    with tempfile.TemporaryDirectory() as directory:
        # What the CLI passes to an app: where to write, and the flags of cdk.json.
        flags = json.loads((PROJECT / "cdk.json").read_text())["context"] | {"environment": "big"}
        environment = {
            **os.environ,
            "CDK_OUTDIR": directory,
            "CDK_CONTEXT_JSON": json.dumps(flags),
            "JSII_NODE": str(PROJECT / ".venv" / "bin" / "node"),
            "PYTHONPATH": str(PROJECT),
        }
        before = _children_seconds()
        subprocess.run(
            [sys.executable, *arguments], cwd=workplace, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        took = _children_seconds() - before
        types = collections.Counter(
            each["Type"]
            for template in Path(directory).glob("*.template.json")
            for each in json.loads(template.read_text())["Resources"].values()
        )
        return took, dict(sorted(types.items()))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(directory: Path) -> dict[str, int]:
    """Every file with the time of its last change, in nanoseconds."""
    return {str(path): path.stat().st_ctime_ns for path in directory.rglob("*")}
