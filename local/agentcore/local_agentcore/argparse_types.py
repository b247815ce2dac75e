"""What values the options of the command line take: argparse says the rest of the message."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = TypeVar("Kind", int, float)
Value = TypeVar("Value")


def number(least: float, most: float) -> Callable[[str], float]:
    """Returns the type of an option that is a number."""
    return _numeric(float, "number", least, most)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Returns the type of an option that is a whole number."""
    return _numeric(int, "whole number", least, most)


def text(pattern: str, meaning: str) -> Callable[[str], str]:
    """Returns the type of an option whose value has to match; `meaning` says so in words."""

    def read(value: str) -> str:
        if re.fullmatch(pattern, value, re.ASCII):
            return value
        raise argparse.ArgumentTypeError(f"{value!r} is not {meaning}")

    return read


def read_by(reader: Callable[[str], Value]) -> Callable[[str], Value]:
    """Returns the type of an option that `reader` reads; its ValueError says what is wrong with a value."""

    def read(value: str) -> Value:
        try:
            return reader(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _numeric(kind: Callable[[str], Kind], name: str, least: float, most: float) -> Callable[[str], Kind]:
    def read(value: str) -> Kind:
        with suppress(ValueError):
            found = kind(value)
            if least <= found <= most:
                return found
        raise argparse.ArgumentTypeError(f"{value!r} is no {name} from {least:g} to {most:g}")

    return read
