"""A custom code interpreter and its execution role: secure unless its author says otherwise, in writing.

Not who may run code in it: that is `grant_run`, given to each principal by name. In every network mode, code in a
session can read the credentials of the execution role, so this role is what a hostile program has.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_iam as iam
from constructs import Construct

from sandpiper_constructs.findings import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    import datetime

    from sandpiper_constructs.bucket_folder import BucketFolder

LONGEST_NAME = 48
"""AWS::BedrockAgentCore::CodeInterpreterCustom, Name: `[a-zA-Z][a-zA-Z0-9_]{0,47}`."""
HASH_CHARACTERS = 8
RUN_ACTIONS = (
    "bedrock-agentcore:StartCodeInterpreterSession",
    "bedrock-agentcore:InvokeCodeInterpreter",
    "bedrock-agentcore:StopCodeInterpreterSession",
)
_DESCRIPTION = re.compile(r"[A-Za-z0-9_ -]{1,200}")
_PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class PublicAccess:
    """Why an interpreter's code may reach the internet, who answers for it, and until when. It is in the template.

    Without `expires` it lasts for ever, which is for the embedded AWS.
    """

    reason: str
    owner: str
    expires: datetime.date | None = None

    def __post_init__(self) -> None:
        for name in ("reason", "owner"):
            if not str(getattr(self, name)).strip():
                raise ValueError(f"{name} is empty; allowed: a sentence that a reviewer can judge")


class CodeInterpreter(Construct):
    """A custom code interpreter with an execution role of its own.

    The network is SANDBOX, which reaches S3 and nothing else, unless `public` gives the reason for PUBLIC. Everything
    but tags can be set at creation only, and a replacement under the same name fails ("already exists"). So the name
    ends in a hash of all those inputs, and the role is replaced with the interpreter: while a deployment replaces
    them, sessions of the old one still find a role that trusts it.

    Raises ValueError, before any resource, for a prefix or description that the service would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name_prefix: str,
        public: PublicAccess | None = None,
        description: str | None = None,
        folder: BucketFolder | None = None,
    ) -> None:
        """`name_prefix` says whose it is; a long one is cut. `folder` is what its code may read and write in S3."""
        if not _PREFIX.fullmatch(name_prefix):
            raise ValueError(f"name_prefix is {name_prefix!r}; allowed: a letter, then letters, digits and _")
        if description is not None and not _DESCRIPTION.fullmatch(description):
            raise ValueError(f"description is {description!r}; allowed: 1 to 200 of A-Z a-z 0-9 _ - and spaces")
        super().__init__(scope, id)

        self.network = "SANDBOX" if public is None else "PUBLIC"
        # The role is an input too. It is known by its place in the tree, since its ARN is known at deployment only.
        create_only = {
            "name_prefix": name_prefix,
            "description": description,
            "network": self.network,
            "role": self.node.path,
        }
        digest = hashlib.sha256(json.dumps(create_only, sort_keys=True).encode()).hexdigest()[:HASH_CHARACTERS]
        self.interpreter_name = f"{name_prefix[: LONGEST_NAME - HASH_CHARACTERS - 1]}_{digest}"

        self.execution_role = _execution_role(self, f"ExecutionRole{digest}", self.interpreter_name, folder)
        network = agentcore.CodeInterpreterNetworkConfiguration
        interpreter = agentcore.CodeInterpreterCustom(
            self,
            "Resource",
            code_interpreter_custom_name=self.interpreter_name,
            description=description,
            execution_role=self.execution_role,
            network_configuration=(
                network.using_sandbox_network() if public is None else network.using_public_network()
            ),
        )
        if public is not None:
            resource = cast("agentcore.CfnCodeInterpreterCustom", interpreter.node.default_child)
            expires = public.expires.isoformat() if public.expires else "never"
            access = {"Reason": public.reason, "Owner": public.owner, "Expires": expires}
            resource.add_metadata("Sandpiper::PublicAccess", access)
        self.interpreter_arn = interpreter.code_interpreter_arn
        self.interpreter_id = interpreter.code_interpreter_id

    def grant_run(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets `grantee` start, use and stop sessions of exactly this interpreter.

        Whoever may do that holds the execution role's permissions as well.
        """
        return iam.Grant.add_to_principal(
            grantee=grantee, actions=list(RUN_ACTIONS), resource_arns=[self.interpreter_arn]
        )


def _execution_role(scope: Construct, role_id: str, interpreter_name: str, folder: BucketFolder | None) -> iam.IRole:
    """The role that code in a session acts with: trusted to one interpreter, allowed one folder.

    An interpreter's id is its name, a hyphen and ten more characters, and a name holds no hyphen. So `NAME-` and ten
    `?` admit this interpreter and no other; the customary `NAME*` also admits one that somebody calls `NAME_evil`.
    """
    stack = Stack.of(scope)
    only_this_interpreter = stack.format_arn(
        service="bedrock-agentcore", resource="code-interpreter-custom", resource_name=f"{interpreter_name}-??????????"
    )
    policies: dict[str, iam.PolicyDocument] = {}
    if folder is not None:
        statements = [
            folder.object_statement("s3:GetObject", "s3:PutObject"),
            folder.list_statement(),
            *folder.key_statements(write=True),
        ]
        policies["Folder"] = iam.PolicyDocument(statements=statements)
    role = iam.Role(
        scope,
        role_id,
        assumed_by=service_principal(
            "bedrock-agentcore",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": only_this_interpreter},
            },
        ),
        description=f"What code in sessions of {interpreter_name} may do",
        inline_policies=policies,
    )
    if folder is not None:
        reason = "Code names its own files; the folder is this interpreter's alone, and holds no results of runs."
        acknowledge_wildcards(role, {folder.objects_arn: reason})
    return cast("iam.IRole", role)
