"""One measured value with its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A measured value.

    Attributes:
        what: What was measured.
        value: The value, in `unit`.
        unit: Its unit.
        most: The target: the maximum value. None for a value without a target.
        how: How it was measured.
    """

    what: str
    value: float
    unit: str
    most: float | None
    how: str

    def target_text(self) -> str:
        """Returns the target and whether it was met."""
        if self.most is None:
            return ""
        return f"{'met' if self.value <= self.most else 'MISSED'}, at most {self.most:g} {self.unit}"
