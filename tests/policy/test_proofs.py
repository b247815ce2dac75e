"""Proofs about policies: the encoding against the evaluator, proved and refuted claims, and what is undecided."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Outcome, Policies
from sandpiper_policy.principals import Principal
from sandpiper_policy.proofs.attack import attack
from sandpiper_policy.proofs.claims import Claim, Restriction
from sandpiper_policy.proofs.decision import is_allowed
from sandpiper_policy.proofs.errors import UnsupportedError
from sandpiper_policy.proofs.prover import ProofOutcome, prove
from sandpiper_policy.proofs.solver import z3
from sandpiper_policy.proofs.symbols import KeyType, Symbols
from tests.support.policy_cases import cases
from tests.support.policy_simulator import evaluated, policies_of, request_of
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper_policy.evaluate import Request
    from sandpiper_policy.proofs.symbols import Key

CASES, SEED = 500, 11
ACCOUNT, OTHER = "111122223333", "444455556666"
ROLE = Principal.parse(f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one")
AGENTCORE = Principal.parse("bedrock-agentcore.amazonaws.com")
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def equations(symbols: Symbols, request: Request) -> Iterator[Any]:
    """Yields that the unknown values are those of a request.

    Raises:
        UnsupportedError: A value has not the type that the policies compare, which AWS does not send.
    """
    context = {name.lower(): value for name, value in request.context.items()}
    yield symbols.action == request.action.lower()
    yield symbols.resource == request.resource
    for name, key in symbols.keys.items():
        yield key.present == (name in context)
        if name in context:
            yield from value_equations(key, context[name])
    for name, listed in symbols.lists.items():
        yield listed.present == (name in context)
        given = context.get(name, ())
        values = [given] if isinstance(given, str) else list(given)
        if len(values) > len(listed.items):
            raise UnsupportedError(name)
        for number, (exists, value) in enumerate(listed.items):
            yield exists == (number < len(values))
            if number < len(values):
                yield value == values[number]


def value_equations(key: Key, value: Any) -> Iterator[Any]:
    if not isinstance(value, str):
        raise UnsupportedError("several values")
    try:
        match key.type:
            case KeyType.TEXT:
                yield key.value == value
            case KeyType.BOOLEAN:
                yield key.value == {"true": True, "false": False}[value.lower()]
            case KeyType.NUMBER:
                float(value)
                yield key.value == z3.RealVal(value)
            case KeyType.DATE:
                moment = datetime.fromtimestamp(int(value), UTC) if value.isdecimal() else datetime.fromisoformat(value)
                yield key.value == z3.RealVal(str(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()))
            case KeyType.ADDRESS:
                address = ip_address(value)
                yield key.value == int(address)
                yield key.is_ipv6 == (address.version == 6)
    except (KeyError, ValueError, z3.Z3Exception):
        raise UnsupportedError(value) from None


def is_arn(symbols: Symbols, request: Request, value: Any) -> bool:
    """Returns whether the value of a request that an ARN operator compares is an ARN, as AWS sends it."""
    context = {name.lower(): given for name, given in request.context.items()}
    names = [name for name, key in symbols.keys.items() if key.value is value]
    return all(str(context.get(name, ":::::")).count(":") >= 5 for name in names)


def test_encoding_and_evaluator_decide_generated_requests_alike() -> None:
    """The requests are those that the evaluator and the simulator agree on."""
    compared = {True: 0, False: 0}
    for case in cases(CASES, SEED):
        request, symbols, solver = request_of(case), Symbols(Principal.parse(case.principal)), z3.Solver()
        try:
            solver.add(is_allowed(policies_of(case), case.account, symbols))
            solver.add([*symbols.facts, *equations(symbols, request)])
            if not all(is_arn(symbols, request, value) for value in symbols.arns):
                continue
        except UnsupportedError:
            continue
        allowed = evaluated(case) is Outcome.ALLOWED
        assert solver.check() == (z3.sat if allowed else z3.unsat), case
        compared[allowed] += 1
    assert min(compared.values()) > CASES / 8, compared


def policy(*statements: dict[str, Any], kind: PolicyKind = PolicyKind.IDENTITY) -> Any:
    return parse_policy("the policy", kind, {"Version": "2012-10-17", "Statement": list(statements)})


def trust(**condition: Any) -> Policies:
    statement = {"Effect": "Allow", "Principal": {"Service": AGENTCORE.name}, "Action": "sts:AssumeRole"}
    statement |= {"Condition": condition} if condition else {}
    return Policies(resource=policy(statement, kind=PolicyKind.TRUST), resource_policy_required=True)


def bucket(*statements: dict[str, Any]) -> Policies:
    """Returns the policy of a bucket, for principals that may do everything."""
    everyone = [{"Principal": "*", "Resource": "*"} | statement for statement in statements]
    return Policies([policy(ALL)], resource=policy(*everyone, kind=PolicyKind.RESOURCE))


INTERPRETERS = f"arn:aws:bedrock-agentcore:us-east-1:{ACCOUNT}:code-interpreter-custom/"
OWN_ACCOUNT = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
WRITER = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::data/claims/*"}
OWN_FOLDER = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::data/${aws:PrincipalTag/tenant}/*"}
OTHER_ACCOUNT = (Restriction("aws:SourceAccount", (ACCOUNT,), excluded=True),)
OUTSIDE = (
    Restriction("action", ("s3:PutObject",)),
    Restriction("resource", ("arn:aws:s3:::data/claims/*",), excluded=True),
)
TENANT = Restriction("aws:PrincipalTag/tenant", ("claims",))
OTHER_ROLES = (
    Restriction("action", ("s3:GetObject",)),
    Restriction("resource", ("arn:aws:s3:::data/claims/*",)),
    Restriction("aws:PrincipalArn", (f"arn:aws:iam::{ACCOUNT}:role/reader",), excluded=True),
)
READERS = {
    "Effect": "Deny",
    "Action": "s3:*",
    "Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/reader"}},
}
PROVED = {
    "only our account": Claim(trust(**OWN_ACCOUNT), ACCOUNT, AGENTCORE, OTHER_ACCOUNT),
    "only one interpreter": Claim(
        trust(**OWN_ACCOUNT, ArnLike={"aws:SourceArn": f"{INTERPRETERS}claims-??????????"}),
        ACCOUNT,
        AGENTCORE,
        (Restriction("aws:SourceArn", (f"{INTERPRETERS}claims-??????????",), excluded=True),),
    ),
    "no other service": Claim(trust(), ACCOUNT, Principal.parse("lambda.amazonaws.com"), ()),
    "no write outside": Claim(Policies([policy(WRITER)]), ACCOUNT, ROLE, OUTSIDE),
    "only the folder of the tag": Claim(Policies([policy(OWN_FOLDER)]), ACCOUNT, ROLE, (TENANT, OUTSIDE[1])),
    "no other role": Claim(bucket(READERS), ACCOUNT, ROLE, OTHER_ROLES, any_role=True),
    "no request without TLS": Claim(
        bucket({"Effect": "Deny", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        ACCOUNT,
        ROLE,
        (Restriction("action", ("s3:GetObject",)), Restriction("aws:SecureTransport", ("false",))),
    ),
    "no old TLS": Claim(
        bucket({"Effect": "Deny", "Action": "s3:*", "Condition": {"NumericLessThanIfExists": {"s3:TlsVersion": 1.2}}}),
        ACCOUNT,
        ROLE,
        (Restriction("action", ("s3:GetObject",)), Restriction("s3:TlsVersion", ("1.1",))),
    ),
    "nothing within a boundary of nothing": Claim(
        Policies([policy(ALL)], boundary=policy(ALL | {"Action": "s3:*"})),
        ACCOUNT,
        ROLE,
        (Restriction("action", ("iam:*", "sts:AssumeRole")),),
    ),
}
TAG = "${aws:PrincipalTag/tenant, '-'}"
RECORDS = (
    Restriction("action", ("s3:PutObject",)),
    Restriction("resource", ("arn:aws:s3:::data/any/runs/*/claim.json",)),
    Restriction("aws:PrincipalArn", (f"arn:aws:iam::{ACCOUNT}:role/*-Function*",), excluded=True),
)


def of_tenants(*more: dict[str, Any]) -> Policies:
    """Returns the policy of a bucket in which the tag of a role selects the folder of its tenant."""
    own = {"Effect": "Deny", "Action": "s3:*", "NotResource": f"arn:aws:s3:::data/{TAG}/*"}
    runs = {
        "Effect": "Deny",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::data/{TAG}/runs/*",
        "Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*-Function*"}},
    }
    statements = [{"Principal": "*"} | one for one in (own, runs)]
    everyone = [{"Principal": "*", "Resource": "*"} | one for one in more]
    return Policies([policy(ALL)], resource=policy(*statements, *everyone, kind=PolicyKind.RESOURCE))


WITHOUT_SLASH = {"Effect": "Deny", "Action": "s3:*", "Condition": {"StringLike": {"aws:PrincipalTag/tenant": "*/*"}}}
PROVED["a tag without a slash"] = Claim(of_tenants(WITHOUT_SLASH), ACCOUNT, ROLE, RECORDS, any_role=True)
REFUTED = {
    "a tag with a slash": Claim(of_tenants(), ACCOUNT, ROLE, RECORDS, any_role=True),
    "a trust policy without conditions": Claim(trust(), ACCOUNT, AGENTCORE, OTHER_ACCOUNT),
    "a condition that a request without the key passes": Claim(
        trust(StringEqualsIfExists={"aws:SourceAccount": ACCOUNT}), ACCOUNT, AGENTCORE, OTHER_ACCOUNT
    ),
    "a broad pattern of a name": Claim(
        trust(ArnLike={"aws:SourceArn": f"{INTERPRETERS}claims*"}),
        ACCOUNT,
        AGENTCORE,
        (Restriction("aws:SourceArn", (f"{INTERPRETERS}claims-??????????",), excluded=True),),
    ),
    "a prefix without a slash": Claim(
        Policies([policy(WRITER | {"Resource": "arn:aws:s3:::data/claims*"})]), ACCOUNT, ROLE, OUTSIDE
    ),
    "every action except some": Claim(
        Policies([policy({"Effect": "Allow", "NotAction": "s3:DeleteObject", "Resource": "*"})]), ACCOUNT, ROLE, OUTSIDE
    ),
    "the tag of another tenant": Claim(Policies([policy(OWN_FOLDER)]), ACCOUNT, ROLE, OUTSIDE),
    "a pattern of role names": Claim(
        bucket(READERS | {"Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/read*"}}}),
        ACCOUNT,
        ROLE,
        OTHER_ROLES,
        any_role=True,
    ),
    "several tags": Claim(
        Policies([policy(ALL)]),
        ACCOUNT,
        ROLE,
        tuple(Restriction(f"aws:PrincipalTag/{tag}", ("a*", "b*")) for tag in "abcdef"),
        any_role=True,
    ),
    "ForAllValues without the key": Claim(
        trust(**{"ForAllValues:StringEquals": {"aws:SourceOrgPaths": "o-1/r-1/"}}),
        ACCOUNT,
        AGENTCORE,
        OTHER_ACCOUNT,
    ),
}


@pytest.mark.parametrize("claim", PROVED.values(), ids=PROVED)
def test_claim_is_proved_and_no_random_request_refutes_it(claim: Claim) -> None:
    assert prove(claim).outcome is ProofOutcome.PROVED
    assert attack(claim, 2_000)[1] is None


@pytest.mark.parametrize("claim", REFUTED.values(), ids=REFUTED)
def test_claim_is_refuted_by_a_request_that_the_evaluator_allows(claim: Claim) -> None:
    proof = prove(claim)
    assert proof.outcome is ProofOutcome.REFUTED, proof.reason
    assert proof.counterexample is not None
    assert proof.decision is not None
    assert proof.decision.allowed
    assert all(restriction.holds(proof.counterexample) for restriction in claim.forbidden)


PRINT_COUNTEREXAMPLES = """
from tests.policy.test_proofs import REFUTED
from sandpiper_policy.proofs.prover import prove
for claim in REFUTED.values():
    print(prove(claim).counterexample)
"""


def test_counterexamples_are_the_same_in_every_process() -> None:
    """Each process orders its sets differently, as another run does."""
    printed = {
        subprocess.run(
            [sys.executable, "-c", PRINT_COUNTEREXAMPLES],
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    (text,) = printed
    assert text.count("Request(") == len(REFUTED)


@pytest.mark.parametrize("name", ["a trust policy without conditions", "every action except some"])
def test_random_requests_refute_a_wrong_claim(name: str) -> None:
    allowed, found = attack(REFUTED[name], 2_000)
    assert allowed
    assert found is not None


MANY = "*".join("ab" for _ in range(100))
UNDECIDED = {
    "a variable before a wildcard": (
        Policies([policy(OWN_FOLDER | {"Resource": "arn:aws:s3:::data/*/${aws:PrincipalTag/tenant}/*"})]),
        "has a variable and more wildcards than one *",
    ),
    "a key of two types": (
        trust(NumericEquals={"aws:SourceAccount": 1}, StringEquals={"aws:SourceAccount": ACCOUNT}),
        "aws:sourceaccount is used as number and as text",
    ),
}


@pytest.mark.parametrize(("policies", "reason"), UNDECIDED.values(), ids=UNDECIDED)
def test_policy_beyond_the_encoding_is_undecided_with_the_reason(policies: Policies, reason: str) -> None:
    proof = prove(Claim(policies, ACCOUNT, ROLE, ()))
    assert proof.outcome is ProofOutcome.UNDECIDED
    assert reason in proof.reason


def test_patterns_with_a_hundred_wildcards_end_with_the_effort() -> None:
    resources = [f"arn:aws:s3:::data/{MANY}{number}" for number in range(5)]
    hostile = Policies([policy(WRITER | {"Resource": resources})])
    proof = prove(Claim(hostile, ACCOUNT, ROLE, OUTSIDE), effort=100_000)
    assert proof.outcome in (ProofOutcome.REFUTED, ProofOutcome.UNDECIDED)
