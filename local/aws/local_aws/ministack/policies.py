"""MiniStack's IAM, decided by `sandpiper_policy`: MiniStack gathers policies and context, and asks here.

MiniStack's own evaluator has no policy variables, lets the account's root pass for any service, takes a session for its
role in `aws:PrincipalArn`, and drops what it cannot read of a policy. Written against MiniStack 1.5.33, like `patches`.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false

from __future__ import annotations

import contextvars
import json
import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import Decision, Outcome, Policies, Request, access_denied_message, evaluate
from sandpiper_policy.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_policy.context import Value

log = logging.getLogger("iam")
ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]
DECISIONS = {Outcome.ALLOWED: "Allow", Outcome.DENIED: "Deny", Outcome.NOT_ALLOWED: "ImplicitDeny"}
ASSUMING = ("sts:AssumeRole", "sts:TagSession")
"""Judged where the role is at hand: a trust policy that names the caller itself needs no policy of the caller's."""
EVERYTHING = parse_policy(
    "being asked for elsewhere",
    PolicyKind.IDENTITY,
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)
PRINCIPAL_TYPES = {"Root": "Account"}
"""Where MiniStack has another word than `aws:PrincipalType`."""
_original_parse = iam_evaluator.parse_policy_document
_original_check = iam_evaluator.check_credentials
_original_denied = iam_actions.access_denied_response
_original_boundary = iam_evaluator._permissions_boundary


class _Parsed(list[Any]):
    """A document's statements as MiniStack reads them, with the document."""

    def __init__(self, statements: Sequence[Any], document: str | Mapping[str, Any]) -> None:
        super().__init__(statements)
        self.document = document


class _Boundary(list[Any]):
    """The layer of a permissions boundary; every other limit is one of session policies."""


@dataclass
class _Result(iam_evaluator.EvalResult):  # pyright: ignore[reportGeneralTypeIssues]
    """MiniStack's result, with what it was made from: a resource's policy is added in a second step."""

    policies: Policies = field(default_factory=Policies)
    made: Decision = field(default_factory=lambda: Decision(Outcome.NOT_ALLOWED))


_asking: contextvars.ContextVar[tuple[str, Policies] | None] = contextvars.ContextVar("asking", default=None)
"""Who is about to assume a role, with their policies."""


_refused: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar("refused", default=None)
"""Action, caller and AWS's sentence of what was refused last."""


def install() -> None:
    """Puts these functions into the place of MiniStack's."""
    for function in (
        *(parse_policy_document, _permissions_boundary, evaluate_trust_policy),
        *(evaluate_resource_policy, combine_resource_policy, check_credentials),
    ):
        setattr(iam_evaluator, function.__name__, function)
    iam_evaluator.evaluate = evaluate_identity
    iam_actions.access_denied_response = access_denied_response


def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **members: Any) -> Any:
    """MiniStack's answer in AWS's words, with the resource, where it has no words of the service's own for it."""
    refused = _refused.get()
    has_words = members.get("error_code") or members.get("message") or members.get("resource_policy_arn")
    if refused is not None and refused[:2] == (action, principal_arn) and not has_words:
        members["message"] = refused[2]
    return _original_denied(service, action, principal_arn, request_id, **members)


def refuse(action: str, principal_arn: str, words: str) -> None:
    """Keeps AWS's sentence for a request that is refused for what it needs besides its own action."""
    _refused.set((action, principal_arn, words))


def check_credentials(access_key_id: str, service: str | None = None) -> Any:
    """Refuses a request for which MiniStack knows no action, unless the root asks: no policy could have allowed it."""
    failure = _original_check(access_key_id, service)
    if failure is not None or iam_evaluator.is_root_access_key(access_key_id):
        return failure
    log.warning("%s: a request to %s has no action that IAM knows: it is refused", access_key_id, service)
    return iam_evaluator.AuthError("AccessDenied", f"No policy can allow this request: {service} has no action for it")


def parse_policy_document(document: str | Mapping[str, Any]) -> list[Any]:
    """MiniStack's reading, beside the document. Instead of one that cannot be used, a statement that denies all."""
    try:
        _identity_policy(document)
    except PolicyError as error:
        log.warning("%s: it denies everything", error)
        return _Parsed([iam_evaluator.ParsedStatement("Malformed", "Deny", actions=["*"], resources=["*"])], document)
    return _Parsed(_original_parse(document), document)


def _permissions_boundary(*arguments: Any) -> list[list[list[Any]]]:
    return [_Boundary(layer) for layer in _original_boundary(*arguments)]


def boundary_of_role(name: str, account: str) -> list[list[list[Any]]]:
    """The limit that a role's permissions boundary is, for `evaluate_identity`; empty when it has none."""
    return _permissions_boundary(iam._roles, name, account)


def evaluate_identity(context: Any, policies: list[Any], *limits: list[Any]) -> Any:
    """The decision by who asks: identity-based policies, boundary, session policies."""
    try:
        gathered = gather(policies, limits)
    except PolicyError as error:
        return _malformed(context, error)
    result = _result(context, gathered, decide(context, gathered))
    if context.action in ASSUMING:
        _asking.set((context.principal_arn, gathered))
        if result.decision == "ImplicitDeny":
            result.decision = "Allow"
    return result


def combine_resource_policy(
    identity: Any,
    context: Any,
    document: str | Mapping[str, Any] | None,
    owner: str | None,
    required: bool = False,
    limits: tuple[Any, ...] = (),  # noqa: ARG001 - MiniStack's signature; they are in `identity`
) -> Any:
    """The decision by who asks and by the policy of the resource."""
    try:
        of_resource = _of_resource(document)
    except PolicyError as error:
        return _malformed(context, error)
    of_caller = identity.policies
    gathered = Policies(of_caller.identity, of_caller.boundary, of_caller.session, of_resource, required)
    decision = decide(context, gathered, owner)
    result = _result(context, gathered, decision)
    if decision.outcome is Outcome.DENIED and decision.statements[0].policy == "the resource's policy":
        result.resource_policy_arn = context.resource_arn
    return result


def evaluate_resource_policy(
    document: str | Mapping[str, Any] | None, context: Any, service: str | None = None, **_: bool
) -> Any:
    """What the policy of a resource alone says of a caller, or of a service that calls for itself."""
    try:
        gathered = Policies([EVERYTHING], None, None, _of_resource(document), resource_policy_required=True)
    except PolicyError as error:
        return _malformed(context, error)
    decisions = [decide(context, gathered)]
    if service is not None:
        decisions.append(decide(context, gathered, principal=Principal.of(service)))
    for outcome in (Outcome.DENIED, Outcome.ALLOWED):
        for decision in decisions:
            if decision.outcome is outcome:
                return _result(context, gathered, decision)
    return _result(context, gathered, decisions[0])


def evaluate_trust_policy(document: str | Mapping[str, Any], caller: str, context: Any) -> bool:
    """Whether a role lets a caller, or the provider of a web identity, assume it."""
    assuming = _asking.get()
    # The account's root and who comes with a web identity have no policies of their own.
    asking = assuming[1] if assuming is not None and assuming[0] == caller else Policies()
    try:
        trust = parse_policy("the trust policy", PolicyKind.TRUST, document)
    except PolicyError as error:
        log.warning("%s: nobody may assume the role", error)
        return False
    gathered = Policies(asking.identity, asking.boundary, asking.session, trust, resource_policy_required=True)
    return decide(context, gathered).allowed


def gather(policies: Sequence[Any], limits: Sequence[Any]) -> Policies:
    """The policies of a caller as MiniStack gathered them. Raises PolicyError when one cannot be used."""
    boundaries = [limit for limit in limits if isinstance(limit, _Boundary)]
    sessions = [limit for limit in limits if not isinstance(limit, _Boundary)]
    return Policies(
        identity=[_read(parsed) for parsed in policies],
        boundary=_read(boundaries[0][0]) if boundaries else None,
        session=[_read(parsed) for parsed in sessions[0]] if sessions else None,
    )


def decide(context: Any, gathered: Policies, owner: str | None = None, principal: Principal | None = None) -> Decision:
    """The decision on what MiniStack calls an evaluation context; a refusal is logged with its reason."""
    asked = request(context, owner, principal)
    decision = evaluate(asked, gathered)
    if not decision.allowed:
        log.info("%s: %s on %s: %s", asked.principal.name, asked.action, asked.resource, decision.reason)
    return decision


def request(context: Any, owner: str | None = None, principal: Principal | None = None) -> Request:
    """The request that an evaluation context of MiniStack stands for."""
    asking = principal or Principal.of(context.principal_arn)
    account = owner or iam_evaluator._account_from_arn(context.resource_arn) or ACCOUNT
    return Request(asking, context.action, context.resource_arn, account, _keys(context, asking, account))


def _keys(context: Any, asking: Principal, account: str) -> dict[str, Value]:
    """Global keys, then those that MiniStack found in the request. A value that is None is no key."""
    now = datetime.now(UTC)
    keys: dict[str, Any] = {
        "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:requestedregion": context.region,
        "aws:securetransport": context.secure_transport,
        "aws:sourceip": context.source_ip,
        "aws:resourceaccount": account,
        "s3:resourceaccount": account,
        "aws:principaltype": PRINCIPAL_TYPES.get(context.principal_type, context.principal_type),
        "aws:principalisawsservice": not asking.account,
        "aws:principalorgid": iam_evaluator._principal_org_id(context.principal_account),
        "aws:tagkeys": context.tag_keys or None,
        **{f"aws:requesttag/{name}": value for name, value in context.request_tags.items()},
        **{name.lower(): value for name, value in context.principal_keys.items()},
        **{name.lower(): value for name, value in context.service_context.items()},
    }
    if asking.account:
        keys |= {"aws:principalarn": _principal_arn(asking), "aws:principalaccount": asking.account}
    return {name: _value(value) for name, value in keys.items() if value is not None}


def _principal_arn(asking: Principal) -> str:
    """`aws:PrincipalArn`: of a session it is the ARN of its role, with the role's path."""
    kind, _, name = asking.name.rpartition(":")[2].partition("/")
    if kind != "assumed-role":
        return asking.name
    role = name.partition("/")[0]
    found = iam._roles.get_scoped(asking.account, None, role) or {}
    return str(found.get("Arn", f"arn:aws:iam::{asking.account}:role/{role}"))


def _value(value: Any) -> Value:
    if isinstance(value, (list, tuple, set)):
        return [str(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(parsed: Any) -> Policy:
    if isinstance(parsed, _Parsed):
        return _identity_policy(parsed.document)
    return Policy(
        "a policy that does not exist", PolicyKind.IDENTITY, ()
    )  # a boundary whose document is gone allows nothing


def _of_resource(document: str | Mapping[str, Any] | None) -> Policy | None:
    """A resource's policy; None where there is none, which MiniStack may write as one without statements.

    Raises:
        PolicyError: it is none that IAM knows. MiniStack lets a bucket have one, which S3 would not.
    """
    content: Any = document
    if isinstance(document, str):
        with suppress(ValueError):  # `policy` says so better
            content = json.loads(document)
    if not document or (isinstance(content, dict) and not content.get("Statement")):
        return None
    return parse_policy("the resource's policy", PolicyKind.RESOURCE, document)


def _identity_policy(document: str | Mapping[str, Any]) -> Policy:
    return parse_policy("an identity-based policy", PolicyKind.IDENTITY, document)


def _result(context: Any, gathered: Policies, decision: Decision) -> Any:
    sid = decision.statements[0].sid if decision.statements else ""
    if not decision.allowed and context.resource_arn != "*":  # MiniStack's stands for an action without resource, too
        words = access_denied_message(request(context), decision)
        _refused.set((context.action, context.principal_arn, words))
    return _Result(
        DECISIONS[decision.outcome], context.principal_arn, sid, decision.reason, policies=gathered, made=decision
    )


def _malformed(context: Any, error: PolicyError) -> Any:
    log.warning("%s: %s on %s is refused", error, context.action, context.resource_arn)
    return _Result("Deny", context.principal_arn, "Malformed", str(error))
