"""Allows existing IAM roles to start the executions of one workflow, or to read them and the files of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from sandpiper_constructs.key_statements import execution_key_statement
from sandpiper_constructs.nag_suppressions import accept_policies
from sandpiper_constructs.role_access import RolesByAccount, assumable_role, grant_to_roles
from sandpiper_contract import settings
from sandpiper_contract.aws import COMPONENT_TAG, WORKFLOW_READER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms

    from sandpiper_constructs.bucket_folder import BucketFolder
    from sandpiper_constructs.session_workflow import SessionWorkflow

STARTER_ACTIONS = ("states:DescribeExecution", "states:StopExecution")
READER_ACTIONS = ("states:DescribeExecution", "states:GetExecutionHistory")
"""Actions on executions. Starting and listing them are actions on the state machine."""


class StarterAccess(Construct):
    """Allows roles to start the executions of one workflow, and to describe and stop them.

    Starters of an Express workflow can also call `StartSyncExecution`, the only call that returns the result of an
    Express execution. Step Functions cannot describe or stop such an execution.

    A role of the stack's account gets an inline policy. Roles of other accounts assume a role that this construct
    creates and that trusts exactly them.

    IAM cannot tell who started an execution, so a starter can also describe and stop the executions of other starters,
    whose names it must know: it cannot list them.

    Example:
        ```python
        StarterAccess(
            stack,
            "Starters",
            workflow=workflow,
            role_arns=["arn:aws:iam::111122223333:role/orders"],
        )
        ```

    Attributes:
        role: the role that starters of other accounts assume, or None without such starters.

    Raises:
        ValueError: before any resource is created, for an invalid or repeated role ARN, and in a stack without an
            account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        workflow: SessionWorkflow,
        role_arns: Sequence[str],
        key: kms.IKey | None = None,
    ) -> None:
        """Creates the policies and, for other accounts, the role.

        Args:
            scope: parent construct, in a stack with an account.
            id: construct id, unique in its scope.
            workflow: the workflow.
            role_arns: ARNs of existing roles, each once.
            key: KMS key of the workflow. Default: a key of AWS.
        """
        roles = RolesByAccount.from_arns(role_arns, Stack.of(scope).account)
        super().__init__(scope, id)
        start = ["states:StartExecution", *(["states:StartSyncExecution"] if workflow.is_express else [])]
        statements = _statements(self, workflow, start, STARTER_ACTIONS, key)

        def grant(grantee: iam.IGrantable) -> None:
            for statement in statements:
                grantee.grant_principal.add_to_principal_policy(statement)

        self.role = grant_to_roles(
            self,
            roles,
            description="Assumed by roles of other accounts to start executions of one workflow",
            grant=grant,
            wildcards={workflow.executions_arn: "A caller chooses the name of an execution of this state machine."},
        )


class ReaderAccess(Construct):
    """Creates a role that reads the executions of one workflow and the files of runs, for exactly the given roles.

    Roles of this account assume it too, because the policy of the data bucket denies the objects of a tenant to other
    roles. The role lists and describes executions, reads their history, and lists and reads `runs/`. It cannot start or
    stop an execution, and it cannot write.

    Example:
        ```python
        ReaderAccess(
            stack,
            "Readers",
            workflow=workflow,
            folder=folder,
            role_arns=["arn:aws:iam::111122223333:role/auditor"],
        )
        ```

    Attributes:
        role: the role that readers assume.

    Raises:
        ValueError: before any resource is created, without a role, for an invalid or repeated role ARN, and in a stack
            without an account.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        workflow: SessionWorkflow,
        folder: BucketFolder,
        role_arns: Sequence[str],
        key: kms.IKey | None = None,
    ) -> None:
        """Creates the role.

        Args:
            scope: parent construct, in a stack with an account.
            id: construct id, unique in its scope.
            workflow: the workflow.
            folder: the tenant's folder, with `runs/`.
            role_arns: ARNs of existing roles, each once.
            key: KMS key of the workflow. Default: a key of AWS.
        """
        if not role_arns:
            raise ValueError("role_arns is empty; allowed: one or more ARNs of existing roles")
        RolesByAccount.from_arns(role_arns, Stack.of(scope).account)
        super().__init__(scope, id)
        role = assumable_role(self, sorted(role_arns), "Assumed by other roles to read executions of one workflow")
        Tags.of(role).add(COMPONENT_TAG, WORKFLOW_READER)
        runs = folder.subfolder(settings.RUNS)
        for statement in (
            *_statements(self, workflow, ["states:ListExecutions"], READER_ACTIONS, key),
            runs.list_statement(),
            runs.object_statement("s3:GetObject"),
            *folder.key_statements(write=False, parts=[runs]),
        ):
            role.add_to_policy(statement)
        accept_policies(
            role,
            {
                workflow.executions_arn: "A reader reads every execution of this state machine.",
                runs.objects_arn: "A program chooses the names of its files, which are in the tenant's folder of runs.",
            },
        )
        self.role = cast("iam.IRole", role)


def _statements(
    scope: Construct,
    workflow: SessionWorkflow,
    state_machine_actions: Sequence[str],
    execution_actions: Sequence[str],
    key: kms.IKey | None,
) -> list[iam.PolicyStatement]:
    arn = workflow.state_machine.state_machine_arn
    return [
        iam.PolicyStatement(actions=list(state_machine_actions), resources=[arn]),
        iam.PolicyStatement(actions=list(execution_actions), resources=[workflow.executions_arn]),
        *(() if key is None else (execution_key_statement(scope, key, arn),)),
    ]
