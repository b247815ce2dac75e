"""Roles that exist and may run code in an interpreter: of this account directly, of others by a role to assume.

Not the session function, which has its grant from its own construct.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from aws_cdk import Names, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_constructs.interpreter_access import ICodeInterpreter

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[!-~]+/)?([A-Za-z0-9_+=,.@-]{1,64})")
LONGEST_POLICY_NAME = 128
"""https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""


class Callers(Construct):
    """Lets roles start sessions of exactly this interpreter, use them, ask for their state and stop them.

    A role of the stack's account gets an inline policy of its own name. `role` is what those of other accounts assume,
    and trusts exactly them; None without any. IAM refuses it while one of them does not exist.

    Not listing sessions: who may would find those of other callers, and could run code in them.

    Raises ValueError, before any resource, for what is no role's ARN, for one given twice, and in a stack without an
    account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        interpreter: ICodeInterpreter,
        role_arns: Sequence[str],
    ) -> None:
        account = Stack.of(scope).account
        if Token.is_unresolved(account):
            raise ValueError(
                "role_arns is given in a stack without an account; allowed: a stack with env=Environment(…)"
            )
        if len(set(role_arns)) < len(role_arns):
            raise ValueError(f"role_arns has a role twice: {list(role_arns)!r}; allowed: each once")
        own, others = dict[str, str](), list[str]()
        for arn in role_arns:
            found = _ROLE.fullmatch(arn)
            if found is None:
                raise ValueError(
                    f"role_arns has {arn!r}; allowed: arn:aws:iam::ACCOUNT:role/NAME, with a path or without"
                )
            if found[1] == account:
                own[arn] = found[2]
            else:
                others.append(arn)
        super().__init__(scope, id)
        self.role: iam.IRole | None = None
        if own:
            # The name holds the stack's: CDK's own for imported roles need not, and would be another stack's as well.
            policy = iam.Policy(
                self,
                "Policy",
                policy_name=Names.unique_resource_name(self, max_length=LONGEST_POLICY_NAME),
                roles=[iam.Role.from_role_name(self, name, name) for name in sorted(own.values())],
            )
            _grant(interpreter, cast("iam.IGrantable", policy))
        if others:
            principals = [cast("iam.IPrincipal", iam.ArnPrincipal(arn)) for arn in sorted(others)]
            role = iam.Role(
                self,
                "Role",
                assumed_by=cast("iam.IPrincipal", iam.CompositePrincipal(*principals)),
                description="What callers of other accounts assume to run code in one interpreter",
            )
            _grant(interpreter, cast("iam.IGrantable", role))
            self.role = cast("iam.IRole", role)


def _grant(interpreter: ICodeInterpreter, grantee: iam.IGrantable) -> None:
    interpreter.grant_run(grantee)
    interpreter.grant_invoke(grantee)
