"""Durations in the output of commands."""

from __future__ import annotations

import pytest

from sandpiper.cli.output import human_time


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0.4, "0 ms"), (12.345, "12 ms"), (999.4, "999 ms"), (999.7, "1.0 s"), (1456.998, "1.5 s")],
)
def test_duration_is_shown_in_milliseconds_or_seconds(milliseconds: float, text: str) -> None:
    assert human_time(milliseconds) == text
