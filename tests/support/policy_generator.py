"""Generates a random context and random policies for a request.

Policy values are drawn near those of the request, so that about as many requests are allowed as denied.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

ACCOUNT, OTHER = "111122223333", "444455556666"
REGION = "us-east-1"
BUCKET = f"arn:aws:s3:::sandpiper-local-{ACCOUNT}"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/session-role"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/session-role/run-1"
USER = f"arn:aws:iam::{ACCOUNT}:user/people/alice"
FOREIGN_ROLE = f"arn:aws:iam::{OTHER}:role/foreign"
FOREIGN = f"arn:aws:sts::{OTHER}:assumed-role/foreign/run-9"
INTERPRETER = f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/demo_sandbox-AbCdEf1234"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:session"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f9e8d7c-6b5a-4c3d-2e1f-0a9b8c7d6e5f"
SERVICE = "bedrock-agentcore.amazonaws.com"
SERVICES = (SERVICE, "lambda.amazonaws.com", "states.amazonaws.com")
PRINCIPAL_ARNS = {SESSION: ROLE, FOREIGN: FOREIGN_ROLE, USER: USER}

VPC, OTHER_VPC = "vpc-0123456789abcdef0", "vpc-0fedcba9876543210"
CUSTOMER_KEY = "s3:x-amz-server-side-encryption-customer-algorithm"
STRING = (
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike"),
)
ARN = ("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike")
NUMERIC = (
    *("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals"),
    *("NumericGreaterThan", "NumericGreaterThanEquals"),
)
DATE = ("DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals")
OPERATORS: Mapping[str, Sequence[str]] = {
    "text": STRING,
    "arn": (*ARN, *STRING),
    "number": NUMERIC,
    "date": DATE,
    "boolean": ("Bool",),
    "address": ("IpAddress", "NotIpAddress"),
    "texts": STRING,
}


@dataclass(frozen=True)
class Key:
    """A condition key: the kind of its values (a key of OPERATORS), and values that a policy may have."""

    kind: str
    values: tuple[str, ...]


COMMON: Mapping[str, Key] = {
    "aws:ResourceAccount": Key("text", (ACCOUNT, OTHER, "${aws:PrincipalAccount}")),
    "aws:PrincipalAccount": Key("text", (ACCOUNT, OTHER, "1111*")),
    "aws:PrincipalArn": Key(
        "arn",
        (
            *(ROLE, USER, FOREIGN_ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:user/*"),
            # The key is the ARN of the role. The ARN of a session, which a policy may have by mistake, never matches.
            *(SESSION, f"arn:aws:sts::{ACCOUNT}:assumed-role/session-role/*", f"arn:aws:sts::{ACCOUNT}:*"),
            *(f"arn:aws:iam::{ACCOUNT}:role/service/session-*", f"arn:aws:iam::{ACCOUNT}:role/session-role"),
        ),
    ),
    "aws:PrincipalIsAWSService": Key("boolean", ("true", "false")),
    "aws:PrincipalTag/team": Key("text", ("claims", "Claims", "motor", "cl*")),
    "aws:SecureTransport": Key("boolean", ("true", "false")),
    "aws:SourceIp": Key("address", ("10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "2001:db8::/32")),
    "aws:CurrentTime": Key("date", ("2026-11-21T00:00:00Z", "2026-11-21T12:00:00Z", "2027-01-01T00:00:00Z")),
    "aws:RequestedRegion": Key("text", (REGION, "eu-central-1", "us-*")),
    "aws:username": Key("text", ("alice", "bob")),
}
SOURCES: Mapping[str, Key] = {
    "aws:SourceAccount": Key("text", (ACCOUNT, OTHER)),
    "aws:SourceArn": Key(
        "arn",
        (
            INTERPRETER,
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/demo_sandbox-??????????",
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/demo_sandbox*",
            f"arn:aws:bedrock-agentcore:*:{ACCOUNT}:*",
            f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:run-code",
        ),
    ),
}


@dataclass
class Case:
    """One request with its policies as documents."""

    principal: str
    action: str
    resource: str
    account: str
    context: dict[str, Any]
    identity: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    boundary: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    resource_policy: dict[str, Any] | None = None
    is_trust: bool = False


@dataclass(frozen=True)
class Request:
    """A kind of request, with the actions, resources and condition keys that a policy for it may name."""

    action: str
    resource: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    keys: Mapping[str, Key]
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wildcard_only: bool = False


def generate_case(
    rng: random.Random, request: Request, *, with_resource_policy: float = 0, caller: str | None = None
) -> Case:
    """Returns a case of a request.

    Args:
        rng: Source of random numbers.
        request: The request.
        with_resource_policy: The probability that the resource has a policy.
        caller: The principal. Default: a random one.
    """
    principal = caller or rng.choice((SESSION, SESSION, USER, FOREIGN if with_resource_policy else SESSION))
    context = {**_context(rng, principal, request), **request.context}
    generator = _PolicyGenerator(rng, request, context)
    case = Case(principal, request.action, request.resource, ACCOUNT, context)
    if not is_service(principal):
        case.identity = [generator.policy() for _ in range(rng.choice((0, 1, 1, 2)))]
        case.boundary = generator.policy(wide=0.5) if rng.random() < 0.25 else None
    if rng.random() < with_resource_policy:
        case.resource_policy = generator.policy(principals=True)
    if principal in (SESSION, FOREIGN) and case.resource_policy is None and rng.random() < 0.2:
        case.session = generator.policy(wide=0.5)
    return case


def _context(rng: random.Random, principal: str, request: Request) -> dict[str, Any]:
    common: dict[str, Any] = {
        "aws:SecureTransport": rng.choice(("true", "true", "true", "false")),
        "aws:SourceIp": rng.choice(("10.1.2.3", "10.1.9.9", "192.0.2.7", "203.0.113.5", "2001:db8::7")),
        "aws:CurrentTime": rng.choice(("2026-11-20T08:30:00Z", "2026-11-21T12:00:00Z", "2026-12-24T18:00:00Z")),
        "aws:RequestedRegion": REGION,
        "aws:PrincipalIsAWSService": str(is_service(principal)).lower(),
    }
    if not request.wildcard_only:
        common["aws:ResourceAccount"] = ACCOUNT
    if is_service(principal):
        arn = rng.choice((INTERPRETER, INTERPRETER.replace("demo", "evil"), SOURCES["aws:SourceArn"].values[-1]))
        return common | sample(
            rng, {"aws:SourceAccount": rng.choice((ACCOUNT, ACCOUNT, OTHER)), "aws:SourceArn": arn}, 0.9
        )
    common |= {"aws:PrincipalArn": PRINCIPAL_ARNS[principal], "aws:PrincipalAccount": principal.split(":")[4]}
    if principal == USER:
        common["aws:username"] = "alice"
    return common | sample(rng, {"aws:PrincipalTag/team": rng.choice(("claims", "motor"))}, 0.7)


def is_service(principal: str) -> bool:
    """Returns whether a principal is a service."""
    return principal.endswith(".amazonaws.com")


def sample(rng: random.Random, values: Mapping[str, Any], share: float = 0.6) -> dict[str, Any]:
    """Returns each value with a probability."""
    return {name: value for name, value in values.items() if rng.random() < share}


class _PolicyGenerator:
    """Generates policies for one request."""

    def __init__(self, rng: random.Random, request: Request, context: Mapping[str, Any]) -> None:
        self._rng, self._request, self._context = rng, request, context

    def policy(self, *, principals: bool = False, wide: float = 0) -> dict[str, Any]:
        """Returns a document; `wide` is the probability that it also allows everything."""
        statements = [self._statement(principals=principals) for _ in range(self._rng.choice((1, 1, 2, 3)))]
        if self._rng.random() < wide:
            statements.append({"Effect": "Allow", "Action": "*", "Resource": "*"})
        return {"Version": "2012-10-17", "Statement": statements}

    def _statement(self, *, principals: bool) -> dict[str, Any]:
        rng = self._rng
        is_allow = rng.random() < 0.75
        statement: dict[str, Any] = {"Effect": "Allow" if is_allow else "Deny"}
        if principals:
            statement |= self._principals(is_allow)
        actions = self._near(self._request.action, self._request.actions)
        statement["NotAction" if rng.random() < 0.08 else "Action"] = actions
        resources = self._near(self._request.resource, (*self._request.resources, "*"))
        statement["NotResource" if rng.random() < 0.08 else "Resource"] = resources
        conditions: dict[str, Any] = {}
        for _ in range(rng.choice((0, 0, 1, 1, 2)) + (not is_allow)):
            operator, key, values = self._condition()
            conditions.setdefault(operator, {})[key] = values
        return statement | ({"Condition": conditions} if conditions else {})

    def _near(self, own: str, others: Sequence[str]) -> str | list[str]:
        rng = self._rng
        chosen = [own if rng.random() < 0.5 else rng.choice(others) for _ in range(rng.choice((1, 1, 2)))]
        return chosen[0] if len(chosen) == 1 and rng.random() < 0.5 else list(dict.fromkeys(chosen))

    def _principals(self, is_allow: bool) -> dict[str, Any]:
        rng = self._rng
        choices: list[Any] = [
            "*",
            *({"AWS": name} for name in (ROLE, USER, SESSION, FOREIGN_ROLE, FOREIGN, ACCOUNT, "*")),
            {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            {"AWS": [OTHER, ROLE]},
            {"AWS": [ROLE, USER]},
            *({"Service": name} for name in SERVICES),
            {"Service": [*SERVICES]},
            {"Service": SERVICE, "AWS": USER},
        ]
        if not is_allow and rng.random() < 0.2:
            return {"NotPrincipal": rng.choice([name for name in choices if name not in ("*", {"AWS": "*"})])}
        return {"Principal": rng.choice(choices)}

    def _condition(self) -> tuple[str, str, str | list[str]]:
        rng = self._rng
        key = rng.choice([*self._request.keys, *(name for name in self._context if name in self._request.keys)])
        kind = self._request.keys[key]
        if rng.random() < 0.08:
            return "Null", key, rng.choice(("true", "false"))
        operator = rng.choice(OPERATORS[kind.kind])
        if kind.kind == "texts" or rng.random() < 0.04:
            operator = f"{rng.choice(('ForAllValues', 'ForAnyValue'))}:{operator}"
        if rng.random() < 0.15 and not operator.startswith("ForAny"):
            operator += "IfExists"
        values = [self._value(key, kind) for _ in range(rng.choice((1, 1, 1, 2)))]
        if "Arn" in operator:
            values = [value for value in values if value.startswith("arn:")] or [ROLE]
        return operator, key, values[0] if len(values) == 1 and rng.random() < 0.5 else list(dict.fromkeys(values))

    def _value(self, key: str, kind: Key) -> str:
        own = self._context.get(key)
        if own is None or self._rng.random() < 0.4:
            return self._rng.choice(kind.values)
        own = own if isinstance(own, str) else self._rng.choice(own)
        return own + ("/128" if ":" in own else "/32") if kind.kind == "address" else own
