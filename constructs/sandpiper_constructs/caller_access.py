"""Allows existing IAM roles of this account and of other accounts to run code in an interpreter.

The session function does not need this: its construct grants its access.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from aws_cdk import Names, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[!-~]+/)?([A-Za-z0-9_+=,.@-]{1,64})")
MAX_POLICY_NAME_CHARACTERS = 128
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""


class CallerAccess(Construct):
    """Allows roles to start, use, get and stop sessions of exactly one interpreter.

    A role of the stack's account gets an inline policy. Roles of other accounts assume a role that this construct
    creates and that trusts exactly them. IAM rejects that role while one of the trusted roles does not exist.

    Callers cannot list sessions: the list would include sessions of other callers, in which they could run code.

    Example:
        ```python
        CallerAccess(
            stack, "Callers", interpreter=interpreter, role_arns=["arn:aws:iam::111122223333:role/agent"]
        )
        ```

    Attributes:
        role: the role that callers of other accounts assume, or None without such callers.

    Raises:
        ValueError: before any resource is created, for an invalid or repeated role ARN, and in a stack without an
            account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        interpreter: CodeInterpreterBase,
        role_arns: Sequence[str],
    ) -> None:
        """Creates the policies and, for other accounts, the role.

        Args:
            scope: parent construct, in a stack with an account.
            id: construct id, unique in its scope.
            interpreter: the interpreter that the roles may use.
            role_arns: ARNs of existing roles, each once.
        """
        own, others = _by_account(role_arns, Stack.of(scope).account)
        super().__init__(scope, id)
        self.role: iam.IRole | None = None
        if own:
            # The default name of a policy on an imported role does not include the stack's name, so that two stacks
            # could overwrite each other's policy.
            policy = iam.Policy(
                self,
                "Policy",
                policy_name=Names.unique_resource_name(self, max_length=MAX_POLICY_NAME_CHARACTERS),
                roles=[iam.Role.from_role_name(self, name, name) for name in own],
            )
            _grant(interpreter, cast("iam.IGrantable", policy))
        if others:
            principals = [cast("iam.IPrincipal", iam.ArnPrincipal(arn)) for arn in others]
            role = iam.Role(
                self,
                "Role",
                assumed_by=cast("iam.IPrincipal", iam.CompositePrincipal(*principals)),
                description="Assumed by callers of other accounts to run code in one interpreter",
            )
            _grant(interpreter, cast("iam.IGrantable", role))
            self.role = cast("iam.IRole", role)


def _by_account(role_arns: Sequence[str], account: str) -> tuple[list[str], list[str]]:
    """Returns the sorted names of the account's own roles and the sorted ARNs of all other roles."""
    if Token.is_unresolved(account):
        raise ValueError("role_arns is set in a stack without an account; allowed: a stack with env=Environment(…)")
    if len(set(role_arns)) < len(role_arns):
        raise ValueError(f"role_arns contains a role twice: {list(role_arns)!r}; allowed: each role once")
    own, others = list[str](), list[str]()
    for arn in role_arns:
        match = _ROLE.fullmatch(arn)
        if match is None:
            raise ValueError(
                f"role_arns contains {arn!r}; allowed: arn:aws:iam::ACCOUNT:role/NAME, with or without a path"
            )
        if match[1] == account:
            own.append(match[2])
        else:
            others.append(arn)
    return sorted(own), sorted(others)


def _grant(interpreter: CodeInterpreterBase, grantee: iam.IGrantable) -> None:
    interpreter.grant_run(grantee)
    interpreter.grant_invoke(grantee)
