"""How much slower our app synthesises than a flat CDK script with the same resources, cdk-nag on both sides.

Whole processes are measured, one of each in turn, so that both see the same machine; the first of each is not counted.
"""

from __future__ import annotations

import collections
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sandpiper_constructs.bundle import bundle
from tests.benchmarks.figure import Figure

PROJECT = Path(__file__).resolve().parents[2]
REPETITIONS = 7
MOST_TIMES = 1.3


def figures() -> list[Figure]:
    """Synthesises both apps in turn. Raises ValueError if they do not make the same types of resources."""
    packed = bundle(cache=PROJECT / "build")
    scripts = {
        "ours": [str(PROJECT / "app.py")],
        "flat": [str(Path(__file__).with_name("flat_app.py")), str(packed.directory)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in scripts}
    resources: dict[str, dict[str, int]] = {}
    for repetition in range(REPETITIONS + 1):
        for name, arguments in scripts.items():
            took, resources[name] = _synthesise(arguments)
            if repetition:
                seconds[name].append(took)
    if resources["ours"] != resources["flat"]:
        raise ValueError(f"the two apps make different resources: {resources}")
    ours, flat = statistics.median(seconds["ours"]), statistics.median(seconds["flat"])
    how = f"median of {REPETITIONS}, {sum(resources['ours'].values())} resources, cdk-nag on"
    return [
        Figure("synthesis against a flat CDK script", ours / flat, "times", MOST_TIMES, how),
        Figure("synthesis of one environment", ours, "s", None, how),
        Figure("the flat CDK script", flat, "s", None, how),
    ]


def _synthesise(arguments: list[str]) -> tuple[float, dict[str, int]]:
    """Seconds of one whole process, and how many resources of each type it made."""
    with tempfile.TemporaryDirectory() as directory:
        # What the CLI passes to an app: where to write, and the flags of cdk.json.
        flags = json.loads((PROJECT / "cdk.json").read_text())["context"]
        node = PROJECT / ".venv" / "bin" / "node"
        environment = {
            **os.environ,
            "CDK_OUTDIR": directory,
            "CDK_CONTEXT_JSON": json.dumps(flags),
            "JSII_NODE": str(node),
        }
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments], cwd=PROJECT, env=environment, check=True, stdout=subprocess.DEVNULL
        )
        took = time.perf_counter() - begun
        types = collections.Counter(
            resource["Type"]
            for template in Path(directory).glob("*.template.json")
            for resource in json.loads(template.read_text())["Resources"].values()
        )
        return took, dict(sorted(types.items()))
