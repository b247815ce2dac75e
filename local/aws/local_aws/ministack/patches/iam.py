"""IAM decisions by `sandpiper_policy`. MiniStack collects the policies and the context of a request.

MiniStack's evaluator has no policy variables, allows the account root in every resource policy, uses the ARN of a
session in `aws:PrincipalArn`, and ignores the parts of a policy that it cannot parse.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false, reportUntypedBaseClass=false

from __future__ import annotations

import contextvars
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam

from local_aws.ministack.patches import iam_requests
from local_aws.ministack.patches.iam_requests import BoundaryLayer, ParsedDocument
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import Decision, Outcome, Policies, access_denied_message
from sandpiper_policy.principals import Principal

if TYPE_CHECKING:
    from local_aws.ministack.patches.iam_requests import Document

MINISTACK_VERSION = "1.5.33"
DECISIONS = {Outcome.ALLOWED: "Allow", Outcome.DENIED: "Deny", Outcome.NOT_ALLOWED: "ImplicitDeny"}
ASSUME_ROLE_ACTIONS = ("sts:AssumeRole", "sts:TagSession")
"""Actions that `evaluate_trust_policy` decides: a trust policy that names the caller needs no policy of the caller."""
ALLOW_ALL = parse_policy(
    "a policy that allows everything",
    PolicyKind.IDENTITY,
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)
log = logging.getLogger("iam")
_parse_policy_document = iam_evaluator.parse_policy_document
_check_credentials = iam_evaluator.check_credentials
_access_denied_response = iam_actions.access_denied_response
_boundary_layers = iam_evaluator._permissions_boundary


@dataclass
class _Result(iam_evaluator.EvalResult):  # pyright: ignore[reportGeneralTypeIssues]
    """MiniStack's result with its policies and decision. `combine_resource_policy` evaluates the policies again."""

    policies: Policies = field(default_factory=Policies)
    policy_decision: Decision = field(default_factory=lambda: Decision(Outcome.NOT_ALLOWED))


_assume_role_caller: contextvars.ContextVar[tuple[str, Policies] | None] = contextvars.ContextVar(
    "assume_role_caller", default=None
)
"""ARN and policies of the principal whose AssumeRole request is being decided."""
_last_denial: contextvars.ContextVar[tuple[str, str, str] | None] = contextvars.ContextVar("last_denial", default=None)
"""Action, principal and message of the last denial."""


def install() -> None:
    """Replaces functions of MiniStack's evaluator."""
    for function in (
        *(parse_policy_document, _permissions_boundary, evaluate_trust_policy),
        *(evaluate_resource_policy, combine_resource_policy, check_credentials),
    ):
        setattr(iam_evaluator, function.__name__, function)
    iam_evaluator.evaluate = evaluate_identity
    iam_actions.access_denied_response = access_denied_response


def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **members: Any) -> Any:
    """Returns the error response of a denied request, with AWS's message unless the service has its own."""
    denial = _last_denial.get()
    has_message = members.get("error_code") or members.get("message") or members.get("resource_policy_arn")
    if denial is not None and denial[:2] == (action, principal_arn) and not has_message:
        members["message"] = denial[2]
    return _access_denied_response(service, action, principal_arn, request_id, **members)


def set_denial_message(action: str, principal_arn: str, message: str) -> None:
    """Sets the message for a request that is denied because of an additional action, such as `kms:Decrypt`."""
    _last_denial.set((action, principal_arn, message))


def check_credentials(access_key_id: str, service: str | None = None) -> Any:
    """Denies requests that MiniStack maps to no IAM action, except those of the account root: no policy allows them."""
    failure = _check_credentials(access_key_id, service)
    if failure is not None or iam_evaluator.is_root_access_key(access_key_id):
        return failure
    log.warning("%s: denied a request to %s that maps to no IAM action", access_key_id, service)
    return iam_evaluator.AuthError("AccessDenied", f"No policy can allow this request: {service} has no action for it")


def parse_policy_document(document: Document) -> list[Any]:
    """Returns MiniStack's statements with the document. An invalid document becomes a statement that denies all."""
    try:
        iam_requests.identity_policy(document)
    except PolicyError as error:
        log.warning("%s: the policy denies everything", error)
        deny_all = iam_evaluator.ParsedStatement("Malformed", "Deny", actions=["*"], resources=["*"])
        return ParsedDocument([deny_all], document)
    return ParsedDocument(_parse_policy_document(document), document)


def _permissions_boundary(*arguments: Any) -> list[list[list[Any]]]:
    return [BoundaryLayer(layer) for layer in _boundary_layers(*arguments)]


def boundary_of_role(name: str, account: str) -> list[list[list[Any]]]:
    """Returns the permissions boundary of a role as a limit for `evaluate_identity`. Empty without a boundary."""
    return _permissions_boundary(iam._roles, name, account)


def evaluate_identity(context: Any, policies: list[Any], *limits: list[Any]) -> Any:
    """Decides by the policies of the principal: identity-based policies, permissions boundary, session policies."""
    try:
        collected = iam_requests.to_policies(policies, limits)
    except PolicyError as error:
        return _malformed(context, error)
    result = _result(context, collected, iam_requests.decide(context, collected))
    if context.action in ASSUME_ROLE_ACTIONS:
        _assume_role_caller.set((context.principal_arn, collected))
        if result.decision == "ImplicitDeny":
            result.decision = "Allow"
    return result


def combine_resource_policy(
    identity: Any,
    context: Any,
    document: Document | None,
    owner: str | None,
    required: bool = False,
    limits: tuple[Any, ...] = (),  # noqa: ARG001 - MiniStack's signature; `identity` contains them
) -> Any:
    """Decides by the policies of the principal and the policy of the resource."""
    try:
        resource_policy = iam_requests.resource_policy(document)
    except PolicyError as error:
        return _malformed(context, error)
    own = identity.policies
    policies = Policies(own.identity, own.boundary, own.session, resource_policy, required)
    decision = iam_requests.decide(context, policies, owner)
    result = _result(context, policies, decision)
    if decision.outcome is Outcome.DENIED and decision.statements[0].policy == iam_requests.RESOURCE_POLICY_NAME:
        result.resource_policy_arn = context.resource_arn
    return result


def evaluate_resource_policy(document: Document | None, context: Any, service: str | None = None, **_: bool) -> Any:
    """Decides by the policy of the resource alone, for the caller or for the service that calls on its behalf."""
    try:
        resource_policy = iam_requests.resource_policy(document)
    except PolicyError as error:
        return _malformed(context, error)
    policies = Policies([ALLOW_ALL], None, None, resource_policy, resource_policy_required=True)
    decisions = [iam_requests.decide(context, policies)]
    if service is not None:
        decisions.append(iam_requests.decide(context, policies, principal=Principal.parse(service)))
    for outcome in (Outcome.DENIED, Outcome.ALLOWED):
        for decision in decisions:
            if decision.outcome is outcome:
                return _result(context, policies, decision)
    return _result(context, policies, decisions[0])


def evaluate_trust_policy(document: Document, caller: str, context: Any) -> bool:
    """Returns whether the trust policy of a role lets a caller, or a web identity provider, assume the role."""
    assuming = _assume_role_caller.get()
    # The account root and web identities have no policies.
    own = assuming[1] if assuming is not None and assuming[0] == caller else Policies()
    try:
        trust = parse_policy("the trust policy", PolicyKind.TRUST, document)
    except PolicyError as error:
        log.warning("%s: the role cannot be assumed", error)
        return False
    policies = Policies(own.identity, own.boundary, own.session, trust, resource_policy_required=True)
    return iam_requests.decide(context, policies).allowed


def _result(context: Any, policies: Policies, decision: Decision) -> Any:
    sid = decision.statements[0].sid if decision.statements else ""
    if not decision.allowed and context.resource_arn != "*":  # MiniStack also uses * for an unknown resource
        message = access_denied_message(iam_requests.to_request(context), decision)
        _last_denial.set((context.action, context.principal_arn, message))
    return _Result(
        DECISIONS[decision.outcome],
        context.principal_arn,
        sid,
        decision.reason,
        policies=policies,
        policy_decision=decision,
    )


def _malformed(context: Any, error: PolicyError) -> Any:
    log.warning("%s: %s on %s is denied", error, context.action, context.resource_arn)
    return _Result("Deny", context.principal_arn, "Malformed", str(error))
