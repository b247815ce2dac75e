"""Numbers as text, for axes, legends and tables."""

from __future__ import annotations

import math


def as_text(value: float) -> str:
    """Returns a number with at most four significant digits below 10,000, and without decimals above.

    Example:
        >>> as_text(1234.5), as_text(12345.6), as_text(0.012345), as_text(3.0)
        ('1,234', '12,346', '0.01234', '3')
    """
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 or not value else f"{value:.2e}"


def short_text(value: float) -> str:
    """Returns a number for an axis.

    Example:
        >>> short_text(1500), short_text(2_000_000), short_text(0.25), short_text(-3.0), short_text(0.00008)
        ('1.5k', '2M', '0.25', '-3', '0.00008')
    """
    for power, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.4g}{suffix}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if 1e-6 <= abs(value) < 1e-3 else f"{value:.4g}"


def nice_limit(value: float) -> float:
    """Returns the next number above a positive value that is 1, 2, 2.5, 5 or 10 times a power of ten.

    Example:
        >>> nice_limit(37), nice_limit(0.7), nice_limit(100)
        (50.0, 1.0, 100.0)
    """
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10, 20) if step * power >= value * (1 - 1e-9))
