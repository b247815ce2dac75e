"""Handles CDK tokens: values that are known only at deployment."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from aws_cdk import Stack, Token

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from constructs import IConstruct

DIGEST_CHARACTERS = 8


def is_valid(pattern: re.Pattern[str], value: str) -> bool:
    """Returns whether the entire value matches the pattern. A token is valid, because its value is not known yet."""
    return Token.is_unresolved(value) or pattern.fullmatch(value) is not None


def digest(scope: IConstruct, properties: Mapping[str, object]) -> str:
    """Returns the first 8 hexadecimal digits of the SHA-256 hash of properties that are not None.

    Args:
        scope: a construct in the stack that resolves tokens.
        properties: texts, and lists and mappings of texts.
    """
    text = json.dumps({name: value for name, value in properties.items() if value is not None}, sort_keys=True)
    if "Token[" in text:  # resolving takes a call of the CDK
        text = json.dumps(Stack.of(scope).resolve(properties), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
