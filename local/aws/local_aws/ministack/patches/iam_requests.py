"""Converts MiniStack's policies and evaluation contexts to the values of `sandpiper_policy`, which decides."""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import ec2, iam

from local_aws.ministack import s3_signatures
from local_aws.ministack.gateway import current_request
from local_aws.settings import ACCOUNT
from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.evaluate import Decision, Policies, Request, evaluate
from sandpiper_policy.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_policy.context import Value

    Document = str | Mapping[str, Any]

MINISTACK_VERSION = "1.5.33"
PRINCIPAL_TYPES = {"Root": "Account"}
"""MiniStack's principal types that differ from the values of `aws:PrincipalType`."""
RESOURCE_POLICY_NAME = "the resource's policy"
SOURCE_SUBNET = "x-local-source-subnet"
"""Header that local-agentcore adds to requests of sandboxes in a VPC (`local_agentcore.network.s3_proxy`).
`Authorizer.with_verified_source` has verified and removed its signature."""
TLS_VERSION = "1.3"
"""The value of `s3:TlsVersion` of a request that counts as TLS. Clients of AWS negotiate this version."""
log = logging.getLogger("iam")


class ParsedDocument(list[Any]):
    """The statements of a policy document as MiniStack parses them, with the document."""

    def __init__(self, statements: Sequence[Any], document: Document) -> None:
        super().__init__(statements)
        self.document = document


class BoundaryLayer(list[Any]):
    """A permissions boundary among the limits of a principal. Every other limit is a list of session policies."""


def to_policies(policies: Sequence[Any], limits: Sequence[Any]) -> Policies:
    """Returns the policies of a principal, from MiniStack's lists.

    Raises:
        PolicyError: A policy is invalid.
    """
    boundaries = [limit for limit in limits if isinstance(limit, BoundaryLayer)]
    sessions = [limit for limit in limits if not isinstance(limit, BoundaryLayer)]
    return Policies(
        identity=[_to_policy(parsed) for parsed in policies],
        boundary=_to_policy(boundaries[0][0]) if boundaries else None,
        session=[_to_policy(parsed) for parsed in sessions[0]] if sessions else None,
    )


def to_request(context: Any, owner: str | None = None, principal: Principal | None = None) -> Request:
    """Returns the request of an evaluation context.

    Args:
        context: MiniStack's `EvalContext`.
        owner: Account of the resource. Default: the account in its ARN.
        principal: Default: the principal of the context.
    """
    principal = principal or Principal.parse(context.principal_arn)
    account = owner or iam_evaluator._account_from_arn(context.resource_arn) or ACCOUNT
    condition_keys = _condition_keys(context, principal, account)
    return Request(principal, context.action, context.resource_arn, account, condition_keys)


def decide(context: Any, policies: Policies, owner: str | None = None, principal: Principal | None = None) -> Decision:
    """Returns the decision for an evaluation context. Logs the reason of a denial."""
    request = to_request(context, owner, principal)
    decision = evaluate(request, policies)
    if not decision.allowed:
        log.info("%s: %s on %s: %s", request.principal.name, request.action, request.resource, decision.reason)
    return decision


def identity_policy(document: Document) -> Policy:
    """Returns the policy of a document. Raises PolicyError when it is invalid."""
    return parse_policy("an identity-based policy", PolicyKind.IDENTITY, document)


def resource_policy(document: Document | None) -> Policy | None:
    """Returns the policy of a resource, or None.

    MiniStack represents a missing policy as None or as a policy without statements.

    Raises:
        PolicyError: The policy is invalid. Unlike S3, MiniStack stores an invalid bucket policy.
    """
    content: Any = document
    if isinstance(document, str):
        with suppress(ValueError):  # `parse_policy` raises a better error
            content = json.loads(document)
    if not document or (isinstance(content, dict) and not content.get("Statement")):
        return None
    return parse_policy(RESOURCE_POLICY_NAME, PolicyKind.RESOURCE, document)


def _to_policy(parsed: Any) -> Policy:
    if isinstance(parsed, ParsedDocument):
        return identity_policy(parsed.document)
    # A permissions boundary whose policy was deleted allows nothing.
    return Policy("a policy that does not exist", PolicyKind.IDENTITY, ())


def _condition_keys(context: Any, principal: Principal, account: str) -> dict[str, Value]:
    """Returns the global condition keys and those of the request. Keys with the value None are absent."""
    now = datetime.now(UTC)
    request = current_request.get()
    keys: dict[str, Any] = {
        **(s3_signatures.condition_keys(request, now) if request and context.action.startswith("s3:") else {}),
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:requestedregion": context.region,
        "aws:securetransport": context.secure_transport,
        "aws:sourceip": context.source_ip,
        "aws:resourceaccount": account,
        "s3:resourceaccount": account,
        "aws:principaltype": PRINCIPAL_TYPES.get(context.principal_type, context.principal_type),
        "aws:principalisawsservice": not principal.account,
        "aws:principalorgid": iam_evaluator._principal_org_id(context.principal_account),
        "aws:tagkeys": context.tag_keys or None,
        **{f"aws:requesttag/{name}": value for name, value in context.request_tags.items()},
        **{name.lower(): value for name, value in context.principal_keys.items()},
        **{name.lower(): value for name, value in context.service_context.items()},
    }
    if request and (subnet := ec2._subnets.get(request.headers.get(SOURCE_SUBNET, ""))):
        keys["aws:sourcevpc"] = subnet["VpcId"]
    if context.action.startswith("s3:") and context.secure_transport:
        keys["s3:tlsversion"] = TLS_VERSION
    if principal.account:
        keys |= {"aws:principalarn": _principal_arn(principal), "aws:principalaccount": principal.account}
    return {name: _value(value) for name, value in keys.items() if value is not None}


def _principal_arn(principal: Principal) -> str:
    """Returns the value of `aws:PrincipalArn`. For a role session, it is the ARN of the role, with the role's path."""
    kind, _, name = principal.name.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return principal.name
    role_name = name.partition("/")[0]
    role = iam._roles.get_scoped(principal.account, None, role_name) or {}
    return str(role.get("Arn", f"arn:aws:iam::{principal.account}:role/{role_name}"))


def _value(value: Any) -> Value:
    if isinstance(value, (list, tuple, set)):
        return [str(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
