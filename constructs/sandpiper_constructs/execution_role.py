"""The role that code in an interpreter's sessions acts with: trusted to one interpreter, allowed some folders of S3.

In every network mode code can read this role's credentials, so what it may do is what a hostile program may do.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from sandpiper_constructs.bucket_folder import READ, WRITE
from sandpiper_constructs.nag_suppressions import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal
from sandpiper_contract.aws import AGENTCORE, INTERPRETER_NAME, MAX_INLINE_POLICY_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from sandpiper_constructs.bucket_folder import BucketFolder

ANY_ID = "-??????????"
"""What follows an interpreter's name in its id, as a policy's pattern. A name holds no hyphen, so this admits the
interpreters of one name alone; the customary `NAME*` also admits one that somebody calls `NAME_evil`."""


class ExecutionRole(iam.Role):
    """A role for one interpreter, by its name: it reads the `read` folders, and reads and writes the `write` folders.

    Raises ValueError, before any resource, for a name that no interpreter can have and for more folders than IAM takes.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        interpreter_name: str,
        read: Sequence[BucketFolder] = (),
        write: Sequence[BucketFolder] = (),
    ) -> None:
        if not re.fullmatch(INTERPRETER_NAME, interpreter_name):
            raise ValueError(
                f"interpreter_name is {interpreter_name!r}; allowed: a letter, then at most 47 of A-Za-z0-9_"
            )
        stack = Stack.of(scope)
        only_this_interpreter = stack.format_arn(
            service=AGENTCORE, resource="code-interpreter-custom", resource_name=interpreter_name + ANY_ID
        )
        folders = iam.PolicyDocument(
            minimize=True,
            statements=[
                statement
                for folders, actions in ((read, READ), (write, WRITE))
                for folder in folders
                for statement in (
                    folder.object_statement(*actions),
                    folder.list_statement(),
                    *folder.key_statements(write=actions is WRITE),
                )
            ],
        )
        size = len(json.dumps(stack.resolve(folders), separators=(",", ":")))
        if size > MAX_INLINE_POLICY_CHARACTERS:
            count = len(read) + len(write)
            raise ValueError(
                f"the policy for {count} folders has {size} characters; allowed: {MAX_INLINE_POLICY_CHARACTERS}"
            )
        super().__init__(
            scope,
            id,
            assumed_by=service_principal(
                AGENTCORE,
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": only_this_interpreter},
                },
            ),
            description=f"What code in sessions of {interpreter_name} may do",
            inline_policies={} if folders.is_empty else {"Folders": folders},
        )
        acknowledge_wildcards(
            self,
            {
                folder.objects_arn: f"Code names its own files, in a folder that it was given to {verb}."
                for folders, verb in ((read, "read"), (write, "write"))
                for folder in folders
            },
        )
