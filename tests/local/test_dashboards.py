"""The preview of dashboards with data of the embedded AWS: metrics, log queries and states of alarms."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import sandpiper
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Product

pytestmark = pytest.mark.skipif(ON_AWS, reason="the preview reads the embedded AWS only")
PUBLISHED_WITHIN_SECONDS = 30
"""Metrics in log lines are published after the Lambda has returned."""


def preview(assembly: Path, out: Path) -> dict[str, dict[str, Any]]:
    """Returns the dashboards of a preview by name."""
    options = ["--assembly", assembly, "--out", out, "--data", "embedded", "--minutes", "15", "--json"]
    completed = sandpiper("dashboards", "preview", *options)
    assert (completed.returncode, completed.stderr) == (0, "")
    return {one["name"]: one for one in json.loads(completed.stdout)["dashboards"]}


def test_the_preview_shows_the_numbers_of_a_run(product: Product, assembly: Path, tmp_path: Path) -> None:
    product.run("print(1)")
    deadline = time.monotonic() + PUBLISHED_WITHIN_SECONDS
    while True:
        tenant = preview(assembly, tmp_path)["sandpiper-local-demo"]
        with_data = {"Executions of run-code (count in 5 minutes)", "Slowest runs (selected time range, ms)"}
        if not with_data & {*tenant["empty"]} or time.monotonic() > deadline:
            break
    assert not with_data & {*tenant["empty"]}
    assert "INSUFFICIENT_DATA" not in tenant["alarms"]
    assert tenant["alarms"]["OK"] > 0
    page = (tmp_path / "dashboards.html").read_text()
    assert "Data of the embedded AWS at http://127.0.0.1:" in page
    assert "ynthetic" not in page
    assert "not found" not in page  # the state of an alarm
