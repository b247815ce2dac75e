"""Handles CDK tokens: values that are known only at deployment."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from aws_cdk import Token

if TYPE_CHECKING:
    import re

    from aws_cdk import Stack

DIGEST_CHARACTERS = 8


def is_valid(pattern: re.Pattern[str], value: str) -> bool:
    """Returns whether the entire value matches the pattern. A token is valid, because its value is not known yet."""
    return Token.is_unresolved(value) or pattern.fullmatch(value) is not None


def digest(stack: Stack, value: object) -> str:
    """Returns the first 8 hexadecimal digits of the SHA-256 hash of a value, with its tokens resolved in the stack."""
    text = json.dumps(value, sort_keys=True)
    if "${" in text:  # only then can the value contain a token
        text = json.dumps(stack.resolve(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
