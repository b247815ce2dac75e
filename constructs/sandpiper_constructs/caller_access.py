"""Allows existing IAM roles of this account and of other accounts to run code in an interpreter.

The session function does not need this: its construct grants its access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from constructs import Construct

from sandpiper_constructs.role_access import RolesByAccount, grant_to_roles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_iam as iam

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase


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
        roles = RolesByAccount.from_arns(role_arns, Stack.of(scope).account)
        super().__init__(scope, id)
        self.role = grant_to_roles(
            self,
            roles,
            description="Assumed by callers of other accounts to run code in one interpreter",
            grant=lambda grantee: _grant(interpreter, grantee),
        )


def _grant(interpreter: CodeInterpreterBase, grantee: iam.IGrantable) -> None:
    interpreter.grant_run(grantee)
    interpreter.grant_invoke(grantee)
