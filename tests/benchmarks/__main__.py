"""`make bench`: figures of speed and size, each beside its target or the peer it was measured with. Never a test."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.benchmarks import bench_agentcore, bench_demo, bench_files, bench_local, bench_runtime, bench_synth

if TYPE_CHECKING:
    from tests.benchmarks.figure import Figure

BENCHMARKS = {
    "synth": bench_synth.figures,
    "agentcore": bench_agentcore.figures,
    "runtime": bench_runtime.figures,
    "local": bench_local.figures,
    "demo": bench_demo.figures,
    "files": bench_files.figures,
}
BY_NAME_ALONE = {"largest": bench_files.largest_figures}
"""What needs more memory than a machine may have to spare."""


WIDEST = 160
"""As wide as its rows, so that they stay rows where no terminal is."""


def main() -> None:
    """Runs the named benchmarks, or all but those that are run by name alone, one after another."""
    known = BENCHMARKS | BY_NAME_ALONE
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" | ".join(known))
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json, width=WIDEST)
    figures: list[Figure] = []
    for name in arguments.names or BENCHMARKS:
        with console.status(name):
            figures += known[name]()
    if arguments.json:
        print(json.dumps([figure.__dict__ for figure in figures], indent=2))
        return
    table = Table("what", "measured", "target", "how", box=None, pad_edge=False)
    for figure in figures:
        table.add_row(figure.what, f"{figure.value:.2f} {figure.unit}", figure.target_text(), figure.how)
    console.print(table)


if __name__ == "__main__":
    main()
