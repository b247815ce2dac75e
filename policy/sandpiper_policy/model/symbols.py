"""Symbols: parts of a resolved text that are known only after a deployment, such as `⟨ssm/app/vpc⟩`.

The brackets cannot come from a template: `literal` replaces them. A symbol has no colon, so that it never adds a part
to an ARN.
"""

from __future__ import annotations

import re

OPEN, CLOSE = "⟨", "⟩"
SYMBOL = re.compile(f"{OPEN}([^{CLOSE}]*){CLOSE}")
_NOT_IN_A_SYMBOL = re.compile(r"[^\w./@-]+")
_BRACKETS = str.maketrans({OPEN: "_", CLOSE: "_"})


def symbol(name: str) -> str:
    """Returns the text of a symbol.

    Example:
        >>> symbol("ssm:/app/vpc")
        '⟨ssm_/app/vpc⟩'
    """
    return f"{OPEN}{_NOT_IN_A_SYMBOL.sub('_', name)}{CLOSE}"


def has_symbol(text: str) -> bool:
    """Returns whether a resolved text has a part that is known only after a deployment."""
    return OPEN in text


def literal(text: str) -> str:
    """Returns a text of a template in which no character can be mistaken for a symbol."""
    return text.translate(_BRACKETS) if OPEN in text or CLOSE in text else text
