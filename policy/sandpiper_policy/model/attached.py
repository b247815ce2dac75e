"""Policies of the model, each attached to an identity or a resource."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sandpiper_policy.document import Policy

if TYPE_CHECKING:
    from sandpiper_policy.model.location import Location
    from sandpiper_policy.model.statements import PolicyStatement, PolicyUse


@dataclass(frozen=True)
class AttachedPolicy:
    """A policy at the identity or the resource that it is attached to.

    A managed policy of two roles is two attached policies.

    Attributes:
        name: A unique name, which decisions of the evaluator show.
        use: What the policy is attached to.
        holder: The address of the identity or the resource.
        location: The position of the document.
        statements: Its statements. A statement that IAM would reject is not among them.
        problems: Why IAM would reject the document or some of its statements.
    """

    name: str
    use: PolicyUse
    holder: str
    location: Location
    statements: tuple[PolicyStatement, ...] = ()
    problems: tuple[str, ...] = ()

    @cached_property
    def evaluable(self) -> Policy:
        """The policy for `sandpiper_policy.evaluate`.

        A statement that denies only when a condition of the template holds is not among its statements. The index of
        each statement is its position in `statements`.
        """
        counted = (one for one in self.statements if one.allows or one.is_certain)
        return Policy(self.name, self.use.kind, tuple(one.compiled for one in counted))
