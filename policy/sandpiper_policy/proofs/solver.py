"""z3 without types: its Python package has none, and infers wrong ones."""

from __future__ import annotations

from typing import Any

import z3 as _z3

z3: Any = _z3
"""The package z3."""
Expression = Any
"""An expression of z3."""
