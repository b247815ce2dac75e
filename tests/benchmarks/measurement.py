"""One measured value with its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """A measured value.

    Attributes:
        name: What was measured.
        value: The value, in `unit`.
        unit: The unit, such as `ms`.
        maximum: The target: the maximum value. None for a value without a target.
        method: How it was measured.
    """

    name: str
    value: float
    unit: str
    maximum: float | None
    method: str

    def target_text(self) -> str:
        """Returns the target and whether it was met."""
        if self.maximum is None:
            return ""
        return f"{'met' if self.value <= self.maximum else 'MISSED'}, at most {self.maximum:g} {self.unit}"
