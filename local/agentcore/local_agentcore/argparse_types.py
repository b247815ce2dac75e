"""Types of command line options for argparse, which adds the option's name to their messages."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Number = TypeVar("Number", int, float)
Value = TypeVar("Value")


def number(minimum: float, maximum: float) -> Callable[[str], float]:
    """Returns the type of an option that is a number."""
    return _numeric(float, "a number", minimum, maximum)


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Returns the type of an option that is an integer."""
    return _numeric(int, "an integer", minimum, maximum)


def matching(pattern: str, description: str) -> Callable[[str], str]:
    """Returns the type of an option that matches a pattern. `description` follows "is not" in the message."""

    def parse(value: str) -> str:
        if re.fullmatch(pattern, value, re.ASCII):
            return value
        raise argparse.ArgumentTypeError(f"{value!r} is not {description}")

    return parse


def parsed_by(parser: Callable[[str], Value]) -> Callable[[str], Value]:
    """Returns the type of an option that `parser` parses. The message is that of the parser's ValueError."""

    def parse(value: str) -> Value:
        try:
            return parser(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _numeric(
    convert: Callable[[str], Number], description: str, minimum: float, maximum: float
) -> Callable[[str], Number]:
    def parse(value: str) -> Number:
        with suppress(ValueError):
            number = convert(value)
            if minimum <= number <= maximum:
                return number
        raise argparse.ArgumentTypeError(f"{value!r} is not {description} from {minimum:g} to {maximum:g}")

    return parse
