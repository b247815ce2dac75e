"""Random requests and policies of the kinds that the project deploys, from a seed.

A case is a request with its context and the policy documents that apply. Policy values are drawn near those of the
request, so that about as many requests are allowed as denied.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
        "arn", (ROLE, USER, FOREIGN_ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:user/*")
    ),
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


def cases(count: int, seed: int) -> list[Case]:
    """Returns the cases of a seed, in turn of each kind."""
    rng = random.Random(seed)
    return [KINDS[number % len(KINDS)](rng) for number in range(count)]


def _object(rng: random.Random) -> Case:
    path = rng.choice(("tenants/demo/sandbox/a.txt", "tenants/demo/inputs/b.csv", "tenants/other/c", "alice/d", "top"))
    action = rng.choice(("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"))
    folders = ("tenants/demo/sandbox/*", "tenants/demo/*", "tenants/*/inputs/*", "${aws:username}/*", "*", "top", "t?p")
    by_tag = ("${aws:PrincipalTag/team, 'alice'}/*", "tenants/${aws:PrincipalTag/team}/*", "${*}/d")
    context = {"s3:TlsVersion": rng.choice(("1.1", "1.2", "1.3")), "aws:SourceVpc": rng.choice((VPC, OTHER_VPC))}
    keys = {**COMMON, "s3:TlsVersion": Key("number", ("1.2", "1.3")), "aws:SourceVpc": Key("text", (VPC, "vpc-*"))}
    if action == "s3:PutObject":
        keys[CUSTOMER_KEY] = Key("text", ("AES256",))
        context[CUSTOMER_KEY] = "AES256"
    request = Request(
        action,
        f"{BUCKET}/{path}",
        ("s3:GetObject", "s3:PutObject", "s3:Get*", "s3:*Object", "s3:*", "s3:DeleteObject", "s3:getobject"),
        (*(f"{BUCKET}/{folder}" for folder in (*folders, *by_tag)), BUCKET, "arn:aws:s3:::*", "arn:aws:s3:::*/top"),
        keys,
        _sample(rng, context),
    )
    return _case(rng, request, with_resource_policy=0.6)


def _list(rng: random.Random) -> Case:
    keys = {
        "s3:prefix": Key(
            "text", ("tenants/demo/*", "tenants/demo/sandbox/", "", "${aws:username}/*", "tenants/??mo/*")
        ),
        "s3:delimiter": Key("text", ("/",)),
        "s3:max-keys": Key("number", ("10", "100", "1000", "10.5")),
    }
    context = _sample(
        rng,
        {
            "s3:prefix": rng.choice(("tenants/demo/sandbox/", "tenants/demo/x", "tenants/other/", "alice/")),
            "s3:delimiter": "/",
            "s3:max-keys": rng.choice(("10", "50", "1000")),
        },
    )
    request = Request(
        "s3:ListBucket",
        BUCKET,
        ("s3:ListBucket", "s3:List*", "s3:*", "s3:GetObject"),
        (BUCKET, f"{BUCKET}/*", "arn:aws:s3:::sandpiper-*", "arn:aws:s3:::other"),
        {**COMMON, **keys},
        context,
    )
    return _case(rng, request, with_resource_policy=0.5)


def _trust(rng: random.Random) -> Case:
    keys = {
        "sts:ExternalId": Key("text", ("secret", "other")),
        "sts:RoleSessionName": Key("text", ("run-1", "${aws:username}", "run-*")),
    }
    request = Request(
        "sts:AssumeRole",
        ROLE,
        ("sts:AssumeRole", "sts:*", "sts:TagSession"),
        (ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:role/service/*", f"arn:aws:iam::{ACCOUNT}:role/x"),
        {**COMMON, **SOURCES, **keys},
        _sample(rng, {"sts:ExternalId": "secret", "sts:RoleSessionName": rng.choice(("run-1", "alice"))}),
    )
    caller = rng.choice((*SERVICES, SERVICE, SESSION, USER, FOREIGN))
    case = _case(rng, request, with_resource_policy=1, caller=caller)
    case.is_trust = True
    for statement in (case.resource_policy or {})["Statement"]:
        statement.pop("Resource", None)
        statement.pop("NotResource", None)
    return case


def _pass_role(rng: random.Random) -> Case:
    request = Request(
        "iam:PassRole",
        ROLE,
        ("iam:PassRole", "iam:*", "iam:GetRole"),
        (ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:role/service/*", "arn:aws:iam::*:role/other"),
        {**COMMON, "iam:PassedToService": Key("text", (*SERVICES, "*.amazonaws.com"))},
        _sample(rng, {"iam:PassedToService": rng.choice(SERVICES)}, 0.9),
    )
    return _case(rng, request)


def _key(rng: random.Random) -> Case:
    action = rng.choice(("kms:Decrypt", "kms:GenerateDataKey"))
    request = Request(
        action,
        KEY,
        ("kms:Decrypt", "kms:GenerateDataKey*", "kms:*", "kms:Encrypt"),
        (KEY, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*", f"arn:aws:kms:*:{OTHER}:key/*"),
        {
            **COMMON,
            "kms:ViaService": Key("text", (f"s3.{REGION}.amazonaws.com", "lambda.us-east-1.amazonaws.com", "s3.*")),
            "kms:CallerAccount": Key("text", (ACCOUNT, OTHER)),
        },
        _sample(rng, {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}, 0.8),
    )
    return _case(rng, request, with_resource_policy=1)


def _session(rng: random.Random) -> Case:
    operations = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
    operations += ("GetCodeInterpreterSession", "ListCodeInterpreterSessions")
    request = Request(
        f"bedrock-agentcore:{rng.choice(operations)}",
        INTERPRETER,
        (*(f"bedrock-agentcore:{name}" for name in operations), "bedrock-agentcore:*", "bedrock-agentcore:*Session"),
        (
            INTERPRETER,
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/*",
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter/*",
            f"arn:aws:bedrock-agentcore:*:{ACCOUNT}:*",
            f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter*/demo_sandbox-AbCdEf1234",
        ),
        COMMON,
    )
    return _case(rng, request)


def _create(rng: random.Random) -> Case:
    keys = {
        "aws:TagKeys": Key("texts", ("team", "cost", "t*")),
        "aws:RequestTag/team": Key("text", ("claims", "motor", "${aws:PrincipalTag/team}")),
    }
    context = _sample(rng, {"aws:RequestTag/team": "claims", "aws:TagKeys": rng.choice((["team"], ["team", "cost"]))})
    request = Request(
        "bedrock-agentcore:CreateCodeInterpreter",
        "*",
        ("bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:Create*", "*", "bedrock-agentcore:ListTags*"),
        ("*", f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/*"),
        {**COMMON, **keys},
        context,
        wildcard_only=True,
    )
    return _case(rng, request)


def _function(rng: random.Random) -> Case:
    request = Request(
        "lambda:InvokeFunction",
        FUNCTION,
        ("lambda:InvokeFunction", "lambda:Invoke*", "lambda:*", "lambda:GetFunction"),
        (FUNCTION, f"{FUNCTION}*", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*", f"{FUNCTION}:1"),
        {**COMMON, **SOURCES},
    )
    return _case(rng, request, with_resource_policy=0.4)


KINDS: Sequence[Callable[[random.Random], Case]] = (
    *(_object, _object, _list, _trust, _pass_role, _key, _session, _create, _function),
)


def _case(rng: random.Random, request: Request, *, with_resource_policy: float = 0, caller: str | None = None) -> Case:
    principal = caller or rng.choice((SESSION, SESSION, USER, FOREIGN if with_resource_policy else SESSION))
    context = {**_context(rng, principal, request), **request.context}
    generator = _PolicyGenerator(rng, request, context)
    is_service = principal in SERVICES
    case = Case(principal, request.action, request.resource, ACCOUNT, context)
    if not is_service:
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
    }
    if not request.wildcard_only:
        common["aws:ResourceAccount"] = ACCOUNT
    if principal in SERVICES:
        arn = rng.choice((INTERPRETER, INTERPRETER.replace("demo", "evil"), SOURCES["aws:SourceArn"].values[-1]))
        return common | _sample(
            rng, {"aws:SourceAccount": rng.choice((ACCOUNT, ACCOUNT, OTHER)), "aws:SourceArn": arn}, 0.9
        )
    common |= {"aws:PrincipalArn": PRINCIPAL_ARNS[principal], "aws:PrincipalAccount": principal.split(":")[4]}
    if principal == USER:
        common["aws:username"] = "alice"
    return common | _sample(rng, {"aws:PrincipalTag/team": rng.choice(("claims", "motor"))}, 0.7)


def _sample(rng: random.Random, values: Mapping[str, Any], share: float = 0.6) -> dict[str, Any]:
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
