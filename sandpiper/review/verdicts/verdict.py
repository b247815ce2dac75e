"""The form of a verdict: what a rule of another tool says about an interpreter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource


class Outcome(Enum):
    """The outcome of a rule of another tool."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    NOT_APPLICABLE = "does not apply"


Judge = Callable[["ReviewModel", "Resource"], tuple[Outcome, str]]
"""Returns the outcome for an interpreter, with one sentence why."""


@dataclass(frozen=True)
class ExternalRule:
    """A rule of another tool.

    Attributes:
        tool: The tool.
        id: Its id of the rule.
        source: The address of the page that describes the rule.
        own_rules: The rules of this review about the same. Their findings at the interpreter are the answer.
        judge: Decides as the other tool does, from the template.
        account_wide: Whether the findings of `own_rules` at other resources are an answer, too.
    """

    tool: str
    id: str
    source: str
    own_rules: tuple[str, ...]
    judge: Judge
    account_wide: bool = False


@dataclass(frozen=True)
class Verdict:
    """What another tool says about an interpreter.

    Attributes:
        interpreter: The address of the interpreter.
        tool: The tool.
        rule: The id of the tool's rule, or the name of its rule pack.
        source: The address of the page that describes the rule.
        outcome: The outcome.
        reason: Why, in one sentence.
        answer: What this review says about a failed rule; empty for the other outcomes.
    """

    interpreter: str
    tool: str
    rule: str
    source: str
    outcome: Outcome
    reason: str
    answer: str = ""
