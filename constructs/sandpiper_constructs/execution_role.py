"""The execution role of an interpreter: it trusts exactly one interpreter and grants access to S3 folders.

In every network mode, code can read the role's credentials. A hostile program therefore has the role's permissions.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.nag_suppressions import accept_policies
from sandpiper_constructs.principals import service_principal
from sandpiper_contract.aws import AGENTCORE, INTERPRETER_NAME, MAX_INLINE_POLICY_CHARACTERS
from sandpiper_contract.s3_statements import READ_ACTIONS, WRITE_ACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from sandpiper_constructs.bucket_folder import BucketFolder

ANY_ID = "-??????????"
"""Pattern of the suffix that follows the name in an interpreter's id.

A name contains no hyphen, so that the pattern matches interpreters of one name only. The usual `NAME*` also matches an
interpreter with the name `NAME_evil`.
"""

MAX_STATEMENTS_CHARACTERS = 2_000
"""More than the characters of the statements for a folder, without its path."""


class ExecutionRole(iam.Role):
    """Creates a role for one interpreter, which reads the `read` folders and reads and writes the `write` folders.

    Example:
        ```python
        ExecutionRole(stack, "Role", interpreter_name="claims_python", write=[folder.subfolder("sandbox")])
        ```

    Raises:
        ValueError: before any resource is created, for an invalid interpreter name and for more folders than an inline
            policy can hold.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        interpreter_name: str,
        read: Sequence[BucketFolder] = (),
        write: Sequence[BucketFolder] = (),
        vpc: str | None = None,
    ) -> None:
        """Creates the role.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            interpreter_name: the name of the interpreter that may assume the role.
            read: folders that code may list and read. Default: none.
            write: folders that code may list, read and write. Default: none.
            vpc: id of the VPC of the interpreter, from which alone S3 is accessible. Credentials that code has printed
                are useless elsewhere. The VPC needs an endpoint for S3. Default: access from anywhere.
        """
        if not re.fullmatch(INTERPRETER_NAME, interpreter_name):
            raise ValueError(
                f"interpreter_name is {interpreter_name!r}; allowed: a letter, then at most 47 of A-Za-z0-9_"
            )
        location = location_of(scope)
        only_this_interpreter = location.arn(AGENTCORE, f"code-interpreter-custom/{interpreter_name}{ANY_ID}")
        statements = [
            statement
            for folders, actions in ((read, READ_ACTIONS), (write, WRITE_ACTIONS))
            for folder in folders
            for statement in folder.access_json(actions, write=actions is WRITE_ACTIONS, vpc=vpc)
        ]
        folders = iam.PolicyDocument.from_json({"Version": "2012-10-17", "Statement": statements})
        size = sum(MAX_STATEMENTS_CHARACTERS + 3 * len(folder.path) for folder in (*read, *write))
        if size > MAX_INLINE_POLICY_CHARACTERS:  # the exact size takes calls of the CDK
            size = len(json.dumps(Stack.of(scope).resolve(folders), separators=(",", ":")))
        if size > MAX_INLINE_POLICY_CHARACTERS:
            raise ValueError(
                f"the policy for {len(read) + len(write)} folders has {size} characters; allowed: "
                f"{MAX_INLINE_POLICY_CHARACTERS}"
            )
        super().__init__(
            scope,
            id,
            assumed_by=service_principal(
                AGENTCORE,
                conditions={
                    "StringEquals": {"aws:SourceAccount": location.account},
                    "ArnLike": {"aws:SourceArn": only_this_interpreter},
                },
            ),
            description=f"Permissions of code in sessions of {interpreter_name}",
            inline_policies={"Folders": folders} if read or write else {},
        )
        if read or write:
            accept_policies(
                self,
                {
                    folder.objects_arn: f"Code chooses the names of its files, in a folder that it may {verb}."
                    for folders, verb in ((read, "read"), (write, "write"))
                    for folder in folders
                },
            )
