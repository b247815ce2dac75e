"""A custom code interpreter: secure unless its author says otherwise, in writing.

Not what may be done with it (`interpreter_access`) and not what its code may do (`execution_role`).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, Literal, cast

import jsii
from aws_cdk import Arn, ArnFormat, Stack, Token
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_iam as iam
from constructs import IValidation

from sandpiper_constructs.execution_role import ExecutionRole
from sandpiper_constructs.interpreter_access import ICodeInterpreter
from sandpiper_constructs.network_access import SANDBOX, NetworkAccess, PublicAccess
from sandpiper_contract.aws import AGENTCORE, INTERPRETER_ID, MANAGED_INTERPRETER, MAX_CERTIFICATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from constructs import Construct

    from sandpiper_constructs.bucket_folder import BucketFolder

LONGEST_NAME = 48
"""AWS::BedrockAgentCore::CodeInterpreterCustom, Name: `[a-zA-Z][a-zA-Z0-9_]{0,47}`."""
HASH_CHARACTERS = 8
_DESCRIPTION = re.compile(r"[A-Za-z0-9_ -]{1,200}")
_PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_SECRET = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_INTERPRETER = re.compile(
    r"arn:aws[a-z-]*:bedrock-agentcore:[a-z0-9-]+:"
    rf"([0-9]{{12}}:code-interpreter-custom/{INTERPRETER_ID}"
    rf"|aws:code-interpreter/{re.escape(MANAGED_INTERPRETER)})"
)


class CodeInterpreter(ICodeInterpreter):
    """A custom code interpreter, by default with an execution role of its own and in a SANDBOX network.

    Everything but tags can be set at creation only, and a replacement under the same name fails ("already exists"). So
    the name ends in a hash of all those inputs, and the own role is replaced with the interpreter: while a deployment
    replaces them, sessions of the old one still find a role that trusts it.

    Raises ValueError, before any resource, for what the service would refuse. A given `iam.Role` whose trust does not
    admit the service is refused when the app is synthesised.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        name_prefix: str,
        network: NetworkAccess = SANDBOX,
        description: str | None = None,
        folder: BucketFolder | None = None,
        read: Sequence[BucketFolder] = (),
        write: Sequence[BucketFolder] = (),
        certificates: Sequence[str] = (),
        execution_role: Literal["own", "none"] | iam.IRole = "own",
    ) -> None:
        """Makes the interpreter and its role.

        Args:
            scope: parent construct.
            id: the construct's id, unique in its scope.
            name_prefix: says whose it is, and is its alone in the account; a long one is cut.
            network: SANDBOX, or a PublicAccess or VpcAccess.
            description: 1 to 200 of `A-Z a-z 0-9 _ -` and spaces.
            folder: its own folder in S3, which its code reads and writes.
            read: folders that its code reads besides.
            write: folders that its code reads and writes besides.
            certificates: ARNs of at most 10 secrets with root certificates that its sessions trust besides.
            execution_role: whom its code acts as: a role of its own, nobody, or a role that exists, to which nothing is
                attached here.
        """
        _require_valid(name_prefix, description, certificates)
        writes = [*([folder] if folder else []), *write]
        if execution_role != "own" and (writes or read):
            raise ValueError(
                "folder, read and write are what a role of its own may do; allowed with another execution_role: none, "
                "since nothing is attached to it"
            )
        super().__init__(scope, id)
        self.certificates = tuple(sorted(certificates))
        self.network = network.mode
        # A role is known by its place in the tree where its ARN is known at deployment only.
        create_only: dict[str, Any] = {
            "name_prefix": name_prefix,
            "description": description,
            "network": network.inputs,
            "certificates": list(self.certificates),
            "role": self.node.path if execution_role == "own" else _known_as(execution_role),
        }
        text = json.dumps(Stack.of(self).resolve(create_only), sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:HASH_CHARACTERS]
        self.interpreter_name = f"{stem(name_prefix)}_{digest}"
        self.name_pattern = f"{stem(name_prefix)}_{'?' * HASH_CHARACTERS}"
        """The names of this interpreter and of those that it replaces, as a policy's pattern."""

        self.execution_role: iam.IRole | None = None
        if execution_role == "own":
            own = ExecutionRole(
                self, f"ExecutionRole{digest}", interpreter_name=self.interpreter_name, read=read, write=writes
            )
            self.execution_role = cast("iam.IRole", own)
        elif execution_role != "none":
            self.execution_role = execution_role
            if isinstance(execution_role, iam.Role):
                self.node.add_validation(cast("IValidation", _TrustsTheService(execution_role)))
        interpreter = agentcore.CodeInterpreterCustom(
            self,
            "Resource",
            code_interpreter_custom_name=self.interpreter_name,
            description=description,
            # Without a role the construct would make one of its own, whose trust is too wide.
            execution_role=self.execution_role or iam.Role.from_role_name(self, "Nobody", "nobody"),
        )
        resource = cast("agentcore.CfnCodeInterpreterCustom", interpreter.node.default_child)
        resource.network_configuration = network.configuration()
        if self.execution_role is None:
            resource.execution_role_arn = None
        if self.certificates:
            resource.certificates = [_certificate(secret_arn) for secret_arn in self.certificates]
        if isinstance(network, PublicAccess):
            expires = network.expires.isoformat() if network.expires else "never"
            access = {"Reason": network.reason, "Owner": network.owner, "Expires": expires}
            resource.add_metadata("Sandpiper::PublicAccess", access)
        self.interpreter_arn = interpreter.code_interpreter_arn
        self.interpreter_id = interpreter.code_interpreter_id

    @staticmethod
    def from_arn(
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        arn: str,
        *,
        certificates: Sequence[str] = (),
    ) -> ICodeInterpreter:
        """An interpreter that exists. `certificates` are its secrets, which those who start sessions read.

        Raises ValueError for what is no interpreter's ARN.
        """
        if not Token.is_unresolved(arn) and not _INTERPRETER.fullmatch(arn):
            raise ValueError(
                f"arn is {arn!r}; allowed: arn:aws:bedrock-agentcore:REGION:ACCOUNT:code-interpreter-custom/ID, or "
                f"that of {MANAGED_INTERPRETER}"
            )
        known = ICodeInterpreter(scope, id)
        known.interpreter_arn = arn
        known.interpreter_id = str(Arn.split(arn, ArnFormat.SLASH_RESOURCE_NAME).resource_name)
        known.network, known.certificates = "UNKNOWN", tuple(certificates)
        return known

    @staticmethod
    def managed(scope: Construct, id: str) -> ICodeInterpreter:  # noqa: A002 - the name that constructs have for it
        """AWS's own interpreter, `aws.codeinterpreter.v1`, in the stack's region: SANDBOX, without a role."""
        arn = Stack.of(scope).format_arn(
            service=AGENTCORE, account="aws", resource="code-interpreter", resource_name=MANAGED_INTERPRETER
        )
        known = CodeInterpreter.from_arn(scope, id, arn)
        known.interpreter_id, known.network = MANAGED_INTERPRETER, "SANDBOX"
        return known


def stem(name_prefix: str) -> str:
    """What an interpreter's name begins with. One that is cut ends in a hash of the whole, to be its alone."""
    longest = LONGEST_NAME - HASH_CHARACTERS - 1
    if len(name_prefix) <= longest:
        return name_prefix
    whole = hashlib.sha256(name_prefix.encode()).hexdigest()[:HASH_CHARACTERS]
    return f"{name_prefix[: longest - HASH_CHARACTERS - 1]}_{whole}"


def _require_valid(name_prefix: str, description: str | None, certificates: Sequence[str]) -> None:
    if not _PREFIX.fullmatch(name_prefix):
        raise ValueError(f"name_prefix is {name_prefix!r}; allowed: a letter, then letters, digits and _")
    if description is not None and not _DESCRIPTION.fullmatch(description):
        raise ValueError(f"description is {description!r}; allowed: 1 to 200 of A-Z a-z 0-9 _ - and spaces")
    allowed = f"allowed: at most {MAX_CERTIFICATES} ARNs of secrets, each once"
    if len(certificates) > MAX_CERTIFICATES or len(set(certificates)) < len(certificates):
        raise ValueError(f"certificates is {list(certificates)!r}; {allowed}")
    for arn in certificates:
        if not Token.is_unresolved(arn) and not _SECRET.fullmatch(arn):
            raise ValueError(f"certificates has {arn!r}; {allowed}")


def _known_as(role: Literal["none"] | iam.IRole) -> str:
    if isinstance(role, str):
        return role
    return role.node.path if Token.is_unresolved(role.role_arn) else role.role_arn


def _certificate(secret_arn: str) -> agentcore.CfnCodeInterpreterCustom.CertificateProperty:
    of = agentcore.CfnCodeInterpreterCustom
    return of.CertificateProperty(certificate_location=of.CertificateLocationProperty(secret_arn=secret_arn))


@jsii.implements(IValidation)
class _TrustsTheService:
    """Says so when AgentCore could not assume the role; the service itself says it after minutes of deployment."""

    def __init__(self, role: iam.Role) -> None:
        self._role = role

    def validate(self) -> list[str]:
        """What is wrong with it, as the CDK asks of a validation."""
        document: Any = Stack.of(self._role).resolve(self._role.assume_role_policy)
        for statement in document["Statement"]:
            services: list[str] | str = statement["Principal"].get("Service", [])
            listed = [services] if isinstance(services, str) else services
            if statement["Effect"] == "Allow" and f"{AGENTCORE}.amazonaws.com" in listed:
                return []
        return [
            f"execution_role is {self._role.node.path}, whose trust does not admit {AGENTCORE}.amazonaws.com; allowed: "
            "a role that it may assume, or execution_role='own'"
        ]
