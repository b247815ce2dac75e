"""`make bench`: measures speed and size, and compares them with targets or with other tools. These are not tests."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    bench_agentcore,
    bench_batch,
    bench_demo,
    bench_environment,
    bench_files,
    bench_local,
    bench_review,
    bench_runtime,
    bench_synth,
    bench_workflows,
)

if TYPE_CHECKING:
    from tests.benchmarks.measurement import Measurement

BENCHMARKS = {
    "synth": bench_synth.measurements,
    "agentcore": bench_agentcore.measurements,
    "runtime": bench_runtime.measurements,
    "local": bench_local.measurements,
    "demo": bench_demo.measurements,
    "files": bench_files.measurements,
    "environment": bench_environment.measurements,
    "review": bench_review.measurements,
    "workflows": bench_workflows.measurements,
}
ON_REQUEST = {
    "largest": bench_files.largest_measurements,
    "batch": bench_batch.measurements,
    "jobs": bench_batch.comparison,
}
"""Benchmarks that run only by name, because they need more memory than a machine may have, or most of an hour."""


TABLE_WIDTH = 160
"""Width in characters of the longest row, so that rows do not wrap without a terminal."""


def main() -> None:
    """Runs the named benchmarks, or all except those that run only by name, one after another."""
    known = BENCHMARKS | ON_REQUEST
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" | ".join(known))
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, width=TABLE_WIDTH)
    measurements: list[Measurement] = []
    for name in arguments.names or BENCHMARKS:
        with console.status(name):
            measurements += known[name]()
    if arguments.json:
        print(json.dumps([measurement.__dict__ for measurement in measurements], indent=2))
        return
    table = Table("measurement", "value", "target", "method", box=None, pad_edge=False)
    for measurement in measurements:
        table.add_row(
            measurement.name,
            f"{measurement.value:.2f} {measurement.unit}",
            measurement.target_text(),
            measurement.method,
        )
    console.print(table)


if __name__ == "__main__":
    main()
