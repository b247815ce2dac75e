"""Measures a program with trial runs of the deployed workflow `run-code`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from sandpiper import workflow
from sandpiper.errors import CliError
from sandpiper_contract.batches import ITEM_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from sandpiper.deployment import Deployment

TRIALS = 3
"""The first run may be slower, for example because a library is compiled. The mean includes it, as in a batch."""


def measure(
    session: boto3.Session, target: Deployment, code: str, item: str, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Runs a program a few times and returns what it does, as fields of a profile.

    Args:
        session: the credentials.
        target: the tenant that runs the program.
        code: the program, in Python.
        item: the item that it reads from `item.json`.
        progress: called with a line about what happens.

    Raises:
        CliError: A run failed, or the program's exit code is not 0.
    """
    request = {"code": code, "language": "python", "inputs": [{"path": ITEM_FILE, "text": item}]}
    results: list[Any] = []
    for trial in range(TRIALS):
        progress(f"trial run {trial + 1} of {TRIALS}")
        with tempfile.TemporaryDirectory() as folder:
            finished = workflow.run(session, target, request, (), Path(folder), progress)
        if finished.exit_code != 0:
            raise CliError(
                f"the program ended with exit code {finished.exit_code}: {finished.result['stderr'].strip()[-500:]}; "
                "allowed: a program that succeeds with --item"
            )
        results.append(finished.result)
    files = [result["files"] for result in results]
    return {
        "seconds": fmean(result["executionTimeMs"] for result in results) / 1000,
        "files": max(map(len, files)),
        "bytes": max(sum(file["size"] for file in each) for each in files),
        "item_bytes": len(item.encode()),
    }
