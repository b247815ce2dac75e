"""The catalogue of escalations of iamprover, answered by iamprover, by the prover and by the rules of the review.

iamprover asks for each principal whether its policies allow all steps of a path of privilege escalation. The prover
answers the same questions as claims about the same policies.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

from iamprover import model as peer
from iamprover.engine.solver import check_all
from iamprover.privesc import load_builtin_privesc

from sandpiper.review.proofs.subjects import identities_with_policies, session_of
from sandpiper.review.review import apply_rules
from sandpiper.review.rules import RULES
from sandpiper_policy.proofs.claims import ACTION, RESOURCE, Claim, Restriction
from sandpiper_policy.proofs.prover import ProofOutcome, prove
from tests.support.review_templates import allow, document, model_of, trust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from iamprover.invariants import Invariant

    from sandpiper.review.model import ReviewModel
    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.statements import PolicyStatement

Answers = dict[tuple[str, str], bool]
"""By identity and invariant: whether the policies of the identity allow the way."""
Actions = tuple[str, ...]
CATALOGUE: tuple[Invariant, ...] = tuple(load_builtin_privesc())
WAYS: list[Actions] = [way for one in CATALOGUE for way in product(*(step.actions for step in one.steps()))]
"""The combinations of actions of the catalogue."""
SAMPLE_WAYS = WAYS[::5]
"""A part of them, for tests."""
TAG = "aws:PrincipalTag/team"


def _on(resource: str, **condition: Any) -> Callable[[Actions], list[dict[str, Any]]]:
    elements = {"Condition": condition} if condition else {}
    return lambda actions: [allow(list(actions), resource, **elements)]


def _deny(actions: Actions, resource: str, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": resource, "Condition": condition}


USERS = "arn:aws:iam::111122223333:user/"
FORMS: Mapping[str, Callable[[Actions], list[dict[str, Any]]]] = {
    "the actions on all resources": _on("*"),
    "all actions of the services": lambda actions: [allow([f"{one.split(':')[0]}:*" for one in actions], "*")],
    "all actions except those of a service": lambda _: [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}],
    "one named resource": _on("arn:aws:iam::111122223333:role/one"),
    "a condition": _on("*", StringEquals={TAG: "ops"}),
    "two values of one key": lambda actions: [
        allow(list(actions), "*", Condition={"StringEquals": {TAG: "a"}, "StringLike": {TAG: "b*"}})
    ],
    "a number below one and above two": lambda actions: [
        allow(list(actions), "*", Condition={"NumericLessThan": {"sts:Age": 1}, "NumericGreaterThan": {"sts:Age": 2}})
    ],
    "denied": lambda actions: [allow(list(actions), "*"), _deny(actions, "*")],
    "denied without MFA, also without the key": lambda actions: [
        allow(list(actions), "*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}),
        _deny(actions, "*", BoolIfExists={"aws:MultiFactorAuthPresent": "false"}),
    ],
    "denied for the caller": lambda actions: [
        allow(list(actions), f"{USERS}*"),
        _deny(actions, USERS + "${aws:username}"),
    ],
    "denied, in another case": lambda actions: [allow(list(actions), "*"), _deny(tuple(map(str.upper, actions)), "*")],
    "a role for another service": _on("*", StringEquals={"iam:PassedToService": "ecs.amazonaws.com"}),
}
"""The forms of a grant. `BOUNDARY` is another one, because it is not a statement."""
BOUNDARY = "a boundary without them"
ONLY_IAMPROVER: Mapping[str, str] = {
    "a number below one and above two": "iamprover treats operators of numbers as always true; z3 decides them",
    "denied without MFA, also without the key": "iamprover ignores a denial with the operator BoolIfExists",
}
ONLY_OURS: Mapping[str, str] = {
    "denied for the caller": "iamprover replaces a variable in a denial by `*`, so that it denies too much",
}
"""The forms about which only one of both returns that the way is allowed, with the cause."""


def catalogue_template(*, all_ways: bool = True) -> dict[str, Any]:
    """Returns a template with a role for each form of each combination of actions of the catalogue.

    Args:
        all_ways: Whether every combination has its roles, or only `SAMPLE_WAYS`.
    """
    resources: dict[str, Any] = {
        "Boundary": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document(allow("s3:*", "*"))}}
    }
    for name, statements in _cases(all_ways=all_ways).items():
        policy = {"PolicyName": "own", "PolicyDocument": document(*statements)}
        resources[name] = {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": trust({"Service": "ec2.amazonaws.com"}),
                "Policies": [policy],
                **({"PermissionsBoundary": {"Ref": "Boundary"}} if name.startswith("Bounded") else {}),
            },
        }
    return {"Resources": resources}


def _cases(*, all_ways: bool) -> dict[str, list[dict[str, Any]]]:
    """Returns the statements of each role by its name, which `form_of` and `way_of` read."""
    found: dict[str, list[dict[str, Any]]] = {}
    for number, way in enumerate(WAYS if all_ways else SAMPLE_WAYS):
        for index, statements in enumerate(FORMS.values()):
            found[f"Form{index}Way{number}"] = statements(way)
        found[f"BoundedWay{number}"] = [allow(list(way), "*")]
    return found


def form_of(address: str) -> str:
    """Returns the form of the grant of a role of the template."""
    name = address.rpartition("/")[2]
    return BOUNDARY if name.startswith("Bounded") else list(FORMS)[int(name[4:].partition("Way")[0])]


def way_of(address: str, *, all_ways: bool = True) -> tuple[str, ...]:
    """Returns the combination of actions of a role of the template."""
    return (WAYS if all_ways else SAMPLE_WAYS)[int(address.rpartition("Way")[2])]


def catalogue_model(*, all_ways: bool = True) -> ReviewModel:
    """Returns the model of the template. Takes the argument of `catalogue_template`."""
    return model_of(catalogue_template(all_ways=all_ways))


def answers_of_iamprover(model: ReviewModel) -> Answers:
    """Returns the answers of iamprover about every identity with policies."""
    identities = {one.address: one for one in identities_with_policies(model)}
    principals = [
        peer.Principal(
            address,
            [_policy(policy) for policy in one.policies],
            permission_boundary=None if one.boundary is None else _policy(one.boundary),
        )
        for address, one in identities.items()
    ]
    found = {
        (counterexample.principal, result.invariant.id)
        for result in check_all(peer.Account(principals), list(CATALOGUE))
        for counterexample in result.counterexamples
    }
    return {(address, one.id): (address, one.id) in found for address in identities for one in CATALOGUE}


def answers_of_the_prover(model: ReviewModel) -> Answers:
    """Returns the answers of the prover about every identity with policies.

    Raises:
        ValueError: A claim is undecided.
    """
    answers: Answers = {}
    for identity in identities_with_policies(model):
        policies, principal = model.policies.policies_for(identity), session_of(identity)
        for invariant in CATALOGUE:
            answers[identity.address, invariant.id] = all(
                _is_refuted(
                    Claim(
                        policies,
                        identity.account,
                        principal,
                        (Restriction(ACTION, tuple(step.actions)), Restriction(RESOURCE, tuple(step.resources))),
                    )
                )
                for step in invariant.steps()
            )
    return answers


def _is_refuted(claim: Claim) -> bool:
    proof = prove(claim)
    if proof.outcome is ProofOutcome.UNDECIDED:
        raise ValueError(proof.reason)
    return proof.outcome is ProofOutcome.REFUTED


def escalations_by_rules(model: ReviewModel) -> set[str]:
    """Returns the addresses of the identities about which the rules of escalation have a finding."""
    rules = [rule for rule in RULES if rule.group == "escalation"]
    return {finding.location.address for finding in apply_rules(model, rules)}


def _policy(policy: AttachedPolicy) -> peer.Policy:
    return peer.Policy(policy.name, [_statement(one) for one in policy.statements if one.allows or one.is_certain])


def _statement(statement: PolicyStatement) -> peer.Statement:
    action, resource = statement.syntax.action, statement.syntax.resource
    return peer.Statement(
        effect=statement.syntax.effect.value,
        actions=[] if action.negated else list(action.values),
        not_actions=list(action.values) if action.negated else [],
        resources=[] if resource.negated else list(resource.values),
        not_resources=list(resource.values) if resource.negated else [],
        conditions=[peer.Condition(one.operator, one.key, list(one.values)) for one in statement.syntax.conditions],
    )
