"""The value that removes a property."""

from __future__ import annotations

from typing import Final


class _NoValue:
    """The value of `AWS::NoValue`. A property or an item with this value is removed."""


NO_VALUE: Final = _NoValue()
