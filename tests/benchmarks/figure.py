"""One measured number, with what it should be at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`value` in `unit`; `most` is the target, None where the number is only shown; `how` says how it was measured."""

    what: str
    value: float
    unit: str
    most: float | None
    how: str

    def target_text(self) -> str:
        """The target and whether it was met."""
        if self.most is None:
            return ""
        return f"{'met' if self.value <= self.most else 'MISSED'}, at most {self.most:g} {self.unit}"
