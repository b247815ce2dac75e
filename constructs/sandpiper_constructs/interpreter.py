"""The construct `CodeInterpreter`: a custom code interpreter that is secure by default.

Grants and metrics are in `interpreter_access`, the permissions of its code in `execution_role`.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal, cast

import jsii
from aws_cdk import Annotations, Arn, ArnFormat, Stack, Token
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_iam as iam
from constructs import Construct, IValidation

from sandpiper_constructs.cdk_values import child_path
from sandpiper_constructs.execution_role import ExecutionRole
from sandpiper_constructs.interpreter_access import CodeInterpreterBase
from sandpiper_constructs.network_access import SANDBOX, NetworkAccess, PublicAccess, VpcAccess
from sandpiper_constructs.tokens import DIGEST_CHARACTERS, digest, is_valid
from sandpiper_contract.aws import (
    AGENTCORE,
    AWS_MANAGED_ROLE,
    EMBEDDED_ACCOUNT,
    INTERPRETER_ID,
    MANAGED_INTERPRETER,
    MAX_CERTIFICATES,
    ROLE_ARN,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper_constructs.bucket_folder import BucketFolder

MAX_NAME_CHARACTERS = 48
"""AWS::BedrockAgentCore::CodeInterpreterCustom, Name: `[a-zA-Z][a-zA-Z0-9_]{0,47}`."""
_DESCRIPTION = re.compile(r"[A-Za-z0-9_ -]{1,200}")
_PREFIX = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
_SECRET = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_INTERPRETER = re.compile(
    r"arn:aws[a-z-]*:bedrock-agentcore:[a-z0-9-]+:"
    rf"([0-9]{{12}}:code-interpreter-custom/{INTERPRETER_ID}"
    rf"|aws:code-interpreter/{re.escape(MANAGED_INTERPRETER)})"
)


class CodeInterpreter(CodeInterpreterBase):
    """Creates a custom code interpreter, by default in SANDBOX mode and with its own execution role.

    All properties except tags are create-only, and a replacement with the same name fails ("already exists"). So the
    name ends in a hash of these properties. The execution role is replaced together with the interpreter: during the
    deployment, sessions of the old interpreter still have a role that trusts it.

    Example:
        ```python
        interpreter = CodeInterpreter(
            stack, "Sandbox", name_prefix="claims_python", folder=folder.subfolder("sandbox/python")
        )
        interpreter.grant_run(role)
        ```

    Attributes:
        interpreter_name: the name, which ends in a hash of the create-only properties.
        name_pattern: pattern of the names of this interpreter and of the interpreters that it replaces, for policies.
        execution_role: the role of its code, or None with `execution_role="none"`.

    Raises:
        ValueError: before any resource is created, for a value that the service would reject. An `iam.Role` that does
            not trust the service is rejected at synthesis.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
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
        """Creates the interpreter and its role.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name_prefix: first part of the name, unique in the account: a letter, then letters, digits and `_`. A long
                prefix is shortened and ends in a hash.
            network: SANDBOX, PublicAccess or VpcAccess. Default: SANDBOX.
            description: 1 to 200 of `A-Z a-z 0-9 _ -` and spaces. Default: none.
            folder: the interpreter's own folder in S3, which its code reads and writes. Default: none.
            read: further folders that its code reads. Default: none.
            write: further folders that its code reads and writes. Default: none.
            certificates: ARNs of at most 10 secrets with root certificates that its sessions trust. Default: none.
            execution_role: `own` creates a role. `none` runs code without a role. An existing role is used unchanged.
                Default: `own`.
        """
        _require_valid(name_prefix, description, certificates)
        writes = [*([folder] if folder else []), *write]
        if execution_role != "own" and (writes or read):
            raise ValueError(
                "folder, read and write are permissions of the role that this construct creates; allowed with another "
                "execution_role: none of them, because no permission is added to that role"
            )
        _require_usable_role(scope, execution_role)
        _require_own_region(scope, certificates)
        _require_distinct_folders(writes, read)
        super().__init__(scope, id)
        _require_approval(self, network)
        self.certificates = tuple(sorted(certificates))
        self.network = network.mode
        create_only: dict[str, Any] = {
            "name_prefix": name_prefix,
            "description": description,
            "network": network.create_only_properties,
            "certificates": list(self.certificates),
            "role": child_path(scope, id) if execution_role == "own" else _role_identity(execution_role),
        }
        suffix = digest(self, create_only)
        self.interpreter_name = f"{name_stem(name_prefix)}_{suffix}"
        self.name_pattern = f"{name_stem(name_prefix)}_{'?' * DIGEST_CHARACTERS}"

        self.execution_role: iam.IRole | None = None
        if execution_role == "own":
            role = ExecutionRole(
                self,
                f"ExecutionRole{suffix}",
                interpreter_name=self.interpreter_name,
                read=read,
                write=writes,
                vpc=network.s3_vpc if isinstance(network, VpcAccess) else None,
            )
            self.execution_role = cast("iam.IRole", role)
        elif execution_role != "none":
            self.execution_role = execution_role
            if isinstance(execution_role, iam.Role):
                self.node.add_validation(cast("IValidation", _TrustValidation(execution_role)))
        self._create(network, description)

    def _create(self, network: NetworkAccess, description: str | None) -> None:
        """Creates the resource, with the logical id of the CDK's construct, which creates a role if it gets none."""
        resource = agentcore.CfnCodeInterpreterCustom(
            Construct(self, "Resource"),
            "Resource",
            name=self.interpreter_name,
            description=description,
            execution_role_arn=self.execution_role.role_arn if self.execution_role else None,
            network_configuration=network.configuration(),
            certificates=[_certificate(secret_arn) for secret_arn in self.certificates] or None,
        )
        if isinstance(network, PublicAccess):
            expires = network.expires.isoformat() if network.expires else "never"
            access = {"Reason": network.reason, "Owner": network.owner, "Expires": expires}
            resource.add_metadata("Sandpiper::PublicAccess", access)
        self.interpreter_arn = resource.attr_code_interpreter_arn
        self.interpreter_id = resource.attr_code_interpreter_id

    @staticmethod
    def from_arn(
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        arn: str,
        *,
        certificates: Sequence[str] = (),
    ) -> CodeInterpreterBase:
        """Imports an existing interpreter.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            arn: the interpreter's ARN.
            certificates: ARNs of its secrets with root certificates, which roles that start sessions must read.
                Default: none.

        Raises:
            ValueError: the value is not the ARN of an interpreter.
        """
        if not is_valid(_INTERPRETER, arn):
            raise ValueError(
                f"arn is {arn!r}; allowed: arn:aws:bedrock-agentcore:REGION:ACCOUNT:code-interpreter-custom/ID, or "
                f"the ARN of {MANAGED_INTERPRETER}"
            )
        interpreter = CodeInterpreterBase(scope, id)
        interpreter.interpreter_arn = arn
        interpreter.interpreter_id = str(Arn.split(arn, ArnFormat.SLASH_RESOURCE_NAME).resource_name)
        interpreter.network, interpreter.certificates = "UNKNOWN", tuple(certificates)
        return interpreter

    @staticmethod
    def managed(scope: Construct, id: str) -> CodeInterpreterBase:  # noqa: A002 - the parameter's name in every construct
        """Returns AWS's managed interpreter `aws.codeinterpreter.v1` in the stack's region: SANDBOX, without a role."""
        arn = Stack.of(scope).format_arn(
            service=AGENTCORE, account="aws", resource="code-interpreter", resource_name=MANAGED_INTERPRETER
        )
        interpreter = CodeInterpreter.from_arn(scope, id, arn)
        interpreter.interpreter_id, interpreter.network = MANAGED_INTERPRETER, "SANDBOX"
        return interpreter


def name_stem(name_prefix: str) -> str:
    """Returns the first part of an interpreter's name. A shortened prefix ends in a hash of the full prefix."""
    longest = MAX_NAME_CHARACTERS - DIGEST_CHARACTERS - 1
    if len(name_prefix) <= longest:
        return name_prefix
    prefix_hash = hashlib.sha256(name_prefix.encode()).hexdigest()[:DIGEST_CHARACTERS]
    return f"{name_prefix[: longest - DIGEST_CHARACTERS - 1]}_{prefix_hash}"


def _require_valid(name_prefix: str, description: str | None, certificates: Sequence[str]) -> None:
    if not _PREFIX.fullmatch(name_prefix):
        raise ValueError(f"name_prefix is {name_prefix!r}; allowed: a letter, then letters, digits and _")
    if description is not None and not _DESCRIPTION.fullmatch(description):
        raise ValueError(f"description is {description!r}; allowed: 1 to 200 of A-Z a-z 0-9 _ - and spaces")
    allowed = f"allowed: at most {MAX_CERTIFICATES} ARNs of secrets, each once"
    if len(certificates) > MAX_CERTIFICATES or len(set(certificates)) < len(certificates):
        raise ValueError(f"certificates is {list(certificates)!r}; {allowed}")
    for arn in certificates:
        if not is_valid(_SECRET, arn):
            raise ValueError(f"certificates contains {arn!r}; {allowed}")


def _require_usable_role(scope: Construct, role: Literal["own", "none"] | iam.IRole) -> None:
    if isinstance(role, str) or Token.is_unresolved(role.role_arn):
        return
    match = re.fullmatch(ROLE_ARN, role.role_arn)
    account = Stack.of(scope).account
    if match is None or not (Token.is_unresolved(account) or match[1] == account):
        raise ValueError(
            f"execution_role is {role.role_arn!r}; allowed: a role of the stack's account, because a role can be "
            "passed only within its account"
        )
    if re.search(AWS_MANAGED_ROLE, role.role_arn):
        raise ValueError(
            f"execution_role is {role.role_arn!r}, which is managed by AWS; allowed: a role that trusts "
            f"{AGENTCORE}.amazonaws.com"
        )


def _require_own_region(scope: Construct, certificates: Sequence[str]) -> None:
    for arn in certificates:
        stack = Stack.of(scope)
        if not Token.is_unresolved(arn) and not Token.is_unresolved(stack.region) and arn.split(":")[3] != stack.region:
            raise ValueError(f"certificates contains {arn!r}; allowed: secrets in {stack.region}, the stack's region")


def _require_distinct_folders(write: Sequence[BucketFolder], read: Sequence[BucketFolder]) -> None:
    """Raises ValueError for a folder in another one. The wider permission would count."""
    if len(write) + len(read) < 2:
        return
    uris = [f"{one.bucket.bucket_name}/{one.path}/" for one in (*write, *read)]
    for index, inner in enumerate(uris):
        for outer in (*uris[:index], *uris[index + 1 :]):
            if inner.startswith(outer):
                raise ValueError(f"s3://{inner} is in s3://{outer}; allowed: each folder once, to read or to write")


def _require_approval(interpreter: CodeInterpreterBase, network: NetworkAccess) -> None:
    """Raises ValueError for internet access without an expiry date. After that date, its stack cannot be deployed.

    The CDK CLI refuses to deploy a stack with an error annotation and deploys the others.
    """
    if not isinstance(network, NetworkAccess):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
        allowed = "SANDBOX, PublicAccess(reason=…, owner=…, expires=…), VpcAccess(subnets=…, security_groups=…)"
        raise ValueError(f"network is {network!r}; allowed: {allowed}")
    if not isinstance(network, PublicAccess):
        return
    if network.expires is None:
        if Stack.of(interpreter).account != EMBEDDED_ACCOUNT:
            raise ValueError(
                "expires is missing; allowed: a date such as datetime.date(2027, 6, 30); optional only on "
                f"the embedded AWS, account {EMBEDDED_ACCOUNT}"
            )
    elif network.expires < datetime.datetime.now(datetime.UTC).date():
        Annotations.of(interpreter).add_error(
            f"the approval of internet access expired on {network.expires} (owner: {network.owner}): renew it, or "
            "remove the internet access"
        )


def _role_identity(role: Literal["none"] | iam.IRole) -> str:
    """Returns a role's ARN, or its construct path if the ARN is known only at deployment."""
    if isinstance(role, str):
        return role
    return role.node.path if Token.is_unresolved(role.role_arn) else role.role_arn


def _certificate(secret_arn: str) -> agentcore.CfnCodeInterpreterCustom.CertificateProperty:
    resource = agentcore.CfnCodeInterpreterCustom
    location = resource.CertificateLocationProperty(secret_arn=secret_arn)
    return resource.CertificateProperty(certificate_location=location)


@jsii.implements(IValidation)
class _TrustValidation:
    """Rejects a role that AgentCore cannot assume. Otherwise the deployment fails after some minutes."""

    def __init__(self, role: iam.Role) -> None:
        self._role = role

    def validate(self) -> list[str]:
        """Returns the problems, as the CDK expects of a validation."""
        document: Any = Stack.of(self._role).resolve(self._role.assume_role_policy)
        service = f"{AGENTCORE}.amazonaws.com"
        for statement in document["Statement"]:
            services: list[str] | str = statement["Principal"].get("Service", [])
            trusted = [services] if isinstance(services, str) else services
            if statement["Effect"] == "Allow" and service in trusted:
                return []
        return [
            f"execution_role is {self._role.node.path}, which does not trust {service}; allowed: a role that trusts "
            "it, or execution_role='own'"
        ]
