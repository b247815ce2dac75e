"""Handles CDK tokens: values that are known only at deployment."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, cast

from aws_cdk import Token

if TYPE_CHECKING:
    import re

    from aws_cdk import Stack

DIGEST_CHARACTERS = 8


def is_valid(pattern: re.Pattern[str], value: str) -> bool:
    """Returns whether the whole value matches the pattern. A token is valid, because its value is not known yet."""
    return Token.is_unresolved(value) or pattern.fullmatch(value) is not None


def template_text(value: object) -> str:
    """Returns a string of a template with its references in angle brackets, such as `<Bucket.Arn>`.

    Args:
        value: a string, or the `Ref`, `Fn::GetAtt` or `Fn::Join` that a token resolves to.
    """
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = cast("dict[str, object]", value).items()
    if function == "Fn::Join":
        delimiter, parts = cast("tuple[str, list[object]]", argument)
        return delimiter.join(map(template_text, parts))
    return f"<{argument if isinstance(argument, str) else '.'.join(cast('list[str]', argument))}>"


def digest(stack: Stack, value: object) -> str:
    """Returns the first 8 hexadecimal digits of the SHA-256 hash of a value, with its tokens resolved in the stack."""
    text = json.dumps(stack.resolve(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]
