"""Compares the evaluator with @cloud-copilot/iam-simulate on 10,000 generated cases.

The outcomes of the simulator for 9,500 of them are recorded in oracle/outcomes.txt. Each run simulates some of these
again, and the cases with the policy of the data bucket, which changes with the product. After a change of the cases or
of the simulator, `REWRITE_GOLDEN=1 pytest tests/policy/test_oracle.py` simulates all cases.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import textwrap
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandpiper_policy.evaluate import Outcome
from tests.support.bucket_policy_cases import bucket_policy_cases
from tests.support.policy_cases import KINDS, cases
from tests.support.policy_generator import ACCOUNT, BUCKET, CUSTOMER_KEY, SESSION, Case
from tests.support.policy_simulator import FOLDER, evaluated, simulate, simulation, version

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED_CASES, BUCKET_POLICY_CASES, SEED = 9_500, 500, 3
SIMULATED_AGAIN = slice(None, None, 40)
assert math.gcd(len(KINDS), SIMULATED_AGAIN.step) == 1, "these cases would be of the same kind"
RECORD = FOLDER / "outcomes.txt"
REWRITE = "REWRITE_GOLDEN"
LETTERS = {Outcome.ALLOWED: "A", Outcome.DENIED: "D", Outcome.NOT_ALLOWED: "N"}
CONDITIONS = (
    *("aws:PrincipalArn", "aws:PrincipalIsAWSService", "aws:PrincipalTag/", "aws:SourceVpc", "aws:SecureTransport"),
    *("s3:TlsVersion", CUSTOMER_KEY, "kms:EncryptionContext:", "kms:ViaService", "kms:GrantIsForAWSResource"),
)
"""Condition keys of the policies that Sandpiper deploys."""


@pytest.fixture(scope="module")
def generated() -> list[Case]:
    """The cases whose outcomes are recorded."""
    return cases(RECORDED_CASES, SEED)


@pytest.fixture(scope="module")
def with_bucket_policy() -> list[Case]:
    return bucket_policy_cases(BUCKET_POLICY_CASES, SEED)


@pytest.fixture(scope="module")
def recorded(generated: list[Case]) -> list[Outcome]:
    """The outcomes of the simulator."""
    content = hashlib.sha256(json.dumps([version(), *(simulation(each) for each in generated)]).encode()).hexdigest()
    if os.environ.get(REWRITE):
        letters = "".join(LETTERS[outcome] for outcome in simulate(generated))
        RECORD.write_text("\n".join([content, *textwrap.wrap(letters, 100), ""]))
    recorded_content, *lines = RECORD.read_text().splitlines()
    assert recorded_content == content, f"the record is of other cases: {REWRITE}=1 pytest tests/policy/test_oracle.py"
    outcomes = {letter: outcome for outcome, letter in LETTERS.items()}
    return [outcomes[letter] for letter in "".join(lines)]


@pytest.fixture(scope="module")
def simulated(generated: list[Case], with_bucket_policy: list[Case]) -> list[list[Outcome]]:
    """The outcomes of some recorded cases, of the bucket policy, and of DIFFERENCES: the simulator starts once."""
    parts = (generated[SIMULATED_AGAIN], with_bucket_policy, [case for case, _, _ in DIFFERENCES.values()])
    outcomes = iter(simulate([case for part in parts for case in part]))
    return [list(itertools.islice(outcomes, len(part))) for part in parts]


def test_evaluator_and_simulator_agree_on_all_generated_cases(
    generated: list[Case],
    recorded: list[Outcome],
    with_bucket_policy: list[Case],
    simulated: list[list[Outcome]],
) -> None:
    for batch, outcomes in ((generated, recorded), (with_bucket_policy, simulated[1])):
        triples = [(case, theirs, evaluated(case)) for case, theirs in zip(batch, outcomes, strict=True)]
        assert [each for each in triples if each[1] is not each[2]] == []
        counts = Counter(outcomes)
        assert all(counts[outcome] > len(batch) * 0.02 for outcome in Outcome), counts


def test_simulator_returns_the_recorded_outcomes(simulated: list[list[Outcome]], recorded: list[Outcome]) -> None:
    assert simulated[0] == recorded[SIMULATED_AGAIN]


@pytest.mark.parametrize("key", CONDITIONS)
def test_each_condition_key_decides_generated_cases(
    generated: list[Case], with_bucket_policy: list[Case], key: str
) -> None:
    """Without the values of the key, some requests are no longer allowed, and others are allowed."""
    changes = Counter[tuple[bool, bool]]()
    for case in (*generated, *with_bucket_policy):
        context = {name: value for name, value in case.context.items() if not name.startswith(key)}
        if len(context) < len(case.context) and key in json.dumps([case.identity, case.resource_policy]):
            is_allowed = [evaluated(each) is Outcome.ALLOWED for each in (case, replace(case, context=context))]
            changes[is_allowed[0], is_allowed[1]] += 1
        if changes[True, False] and changes[False, True]:
            return
    pytest.fail(f"{key} decides too few cases: {changes}")


ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}
GET = Case(SESSION, "s3:GetObject", f"{BUCKET}/a", ACCOUNT, {})
PUT_ONLY = {"Version": "2012-10-17", "Statement": ANY | {"Action": "s3:PutObject"}}


def _with_condition(operator: str, key: str, operand: str, value: str) -> Case:
    statement = ANY | {"Condition": {operator: {key: operand}}}
    return replace(GET, identity=[{"Version": "2012-10-17", "Statement": statement}], context={key: value})


DIFFERENCES: Mapping[str, tuple[Case, Outcome, Outcome]] = {
    # Identity and access management, "Session policies": permissions that a resource-based policy grants to the ARN of
    # the session add to those that the session policy allows.
    "a resource policy names the session, and the session policy does not allow the action": (
        replace(
            GET,
            session=PUT_ONLY,
            resource_policy={"Version": "2012-10-17", "Statement": ANY | {"Principal": {"AWS": SESSION}}},
        ),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "IP address condition operators": NotIpAddress matches every other address.
    "an address of another address family differs from the operand": (
        _with_condition("NotIpAddress", "aws:SourceIp", "10.1.2.3", "2001:db8::7"),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "Date condition operators": a date, or a number of seconds since the epoch.
    "a number of seconds is a date": (
        _with_condition("DateGreaterThan", "aws:CurrentTime", "1577836800", "1999-01-01T00:00:00Z"),
        Outcome.NOT_ALLOWED,
        Outcome.ALLOWED,
    ),
}
"""Cases, the outcome that the IAM User Guide documents, which is the evaluator's, and the outcome of the simulator."""


@pytest.mark.parametrize(("index", "name"), list(enumerate(DIFFERENCES)))
def test_where_evaluator_and_simulator_differ_the_evaluator_follows_the_documentation(
    simulated: list[list[Outcome]], index: int, name: str
) -> None:
    case, documented, simulator = DIFFERENCES[name]
    assert (evaluated(case), simulated[2][index]) == (documented, simulator)
