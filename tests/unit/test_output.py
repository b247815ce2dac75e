"""How commands show numbers."""

from __future__ import annotations

import pytest

from sandpiper.cli.output import human_time


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0.4, "0 ms"), (12.345, "12 ms"), (999.4, "999 ms"), (999.7, "1.0 s"), (1456.998, "1.5 s")],
)
def test_a_time_has_the_digits_that_people_read(milliseconds: float, shown: str) -> None:
    assert human_time(milliseconds) == shown
