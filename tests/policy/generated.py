"""Requests and policies of the kinds that the project emits, made at random from a seed.

A case is what a test knows: who asks for what in which context, and the documents that apply. Values are drawn near the
request's own, so that about as many requests are allowed as are not.
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
ROLE_BEHIND = {SESSION: ROLE, FOREIGN: FOREIGN_ROLE, USER: USER}

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
    "truth": ("Bool",),
    "address": ("IpAddress", "NotIpAddress"),
    "texts": STRING,
}


@dataclass(frozen=True)
class Key:
    """A condition key: what its values are (a key of OPERATORS), and some that a policy may have."""

    kind: str
    values: tuple[str, ...]


COMMON: Mapping[str, Key] = {
    "aws:ResourceAccount": Key("text", (ACCOUNT, OTHER, "${aws:PrincipalAccount}")),
    "aws:PrincipalAccount": Key("text", (ACCOUNT, OTHER, "1111*")),
    "aws:PrincipalArn": Key(
        "arn", (ROLE, USER, FOREIGN_ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", "arn:aws:iam::*:user/*")
    ),
    "aws:PrincipalTag/team": Key("text", ("claims", "Claims", "motor", "cl*")),
    "aws:SecureTransport": Key("truth", ("true", "false")),
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
    """One request with its policies, as documents."""

    principal: str
    action: str
    resource: str
    account: str
    context: dict[str, Any]
    identity: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    boundary: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    of_resource: dict[str, Any] | None = None
    is_trust: bool = False


@dataclass(frozen=True)
class Request:
    """A kind of request: actions, resources and condition keys that a policy about it may name."""

    action: str
    resource: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    keys: Mapping[str, Key]
    context: Mapping[str, Any] = field(default_factory=dict[str, Any])
    wildcard_only: bool = False


def cases(count: int, seed: int) -> list[Case]:
    """The cases of a seed; the kinds take turns."""
    dice = random.Random(seed)
    return [KINDS[number % len(KINDS)](dice) for number in range(count)]


def _object(dice: random.Random) -> Case:
    path = dice.choice(("tenants/demo/sandbox/a.txt", "tenants/demo/inputs/b.csv", "tenants/other/c", "alice/d", "top"))
    action = dice.choice(("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"))
    folders = ("tenants/demo/sandbox/*", "tenants/demo/*", "tenants/*/inputs/*", "${aws:username}/*", "*", "top", "t?p")
    by_tag = ("${aws:PrincipalTag/team, 'alice'}/*", "tenants/${aws:PrincipalTag/team}/*", "${*}/d")
    request = Request(
        action,
        f"{BUCKET}/{path}",
        ("s3:GetObject", "s3:PutObject", "s3:Get*", "s3:*Object", "s3:*", "s3:DeleteObject", "s3:getobject"),
        (*(f"{BUCKET}/{folder}" for folder in (*folders, *by_tag)), BUCKET, "arn:aws:s3:::*", "arn:aws:s3:::*/top"),
        COMMON,
    )
    return _case(dice, request, with_resource_policy=0.6)


def _list(dice: random.Random) -> Case:
    keys = {
        "s3:prefix": Key(
            "text", ("tenants/demo/*", "tenants/demo/sandbox/", "", "${aws:username}/*", "tenants/??mo/*")
        ),
        "s3:delimiter": Key("text", ("/",)),
        "s3:max-keys": Key("number", ("10", "100", "1000", "10.5")),
    }
    context = _some(
        dice,
        {
            "s3:prefix": dice.choice(("tenants/demo/sandbox/", "tenants/demo/x", "tenants/other/", "alice/")),
            "s3:delimiter": "/",
            "s3:max-keys": dice.choice(("10", "50", "1000")),
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
    return _case(dice, request, with_resource_policy=0.5)


def _trust(dice: random.Random) -> Case:
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
        _some(dice, {"sts:ExternalId": "secret", "sts:RoleSessionName": dice.choice(("run-1", "alice"))}),
    )
    asking = dice.choice((*SERVICES, SERVICE, SESSION, USER, FOREIGN))
    case = _case(dice, request, with_resource_policy=1, asking=asking)
    case.is_trust = True
    for statement in (case.of_resource or {})["Statement"]:
        statement.pop("Resource", None)
        statement.pop("NotResource", None)
    return case


def _pass_role(dice: random.Random) -> Case:
    request = Request(
        "iam:PassRole",
        ROLE,
        ("iam:PassRole", "iam:*", "iam:GetRole"),
        (ROLE, f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:role/service/*", "arn:aws:iam::*:role/other"),
        {**COMMON, "iam:PassedToService": Key("text", (*SERVICES, "*.amazonaws.com"))},
        _some(dice, {"iam:PassedToService": dice.choice(SERVICES)}, 0.9),
    )
    return _case(dice, request)


def _key(dice: random.Random) -> Case:
    action = dice.choice(("kms:Decrypt", "kms:GenerateDataKey"))
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
        _some(dice, {"kms:ViaService": f"s3.{REGION}.amazonaws.com", "kms:CallerAccount": ACCOUNT}, 0.8),
    )
    return _case(dice, request, with_resource_policy=1)


def _session(dice: random.Random) -> Case:
    operations = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
    operations += ("GetCodeInterpreterSession", "ListCodeInterpreterSessions")
    request = Request(
        f"bedrock-agentcore:{dice.choice(operations)}",
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
    return _case(dice, request)


def _create(dice: random.Random) -> Case:
    keys = {
        "aws:TagKeys": Key("texts", ("team", "cost", "t*")),
        "aws:RequestTag/team": Key("text", ("claims", "motor", "${aws:PrincipalTag/team}")),
    }
    context = _some(dice, {"aws:RequestTag/team": "claims", "aws:TagKeys": dice.choice((["team"], ["team", "cost"]))})
    request = Request(
        "bedrock-agentcore:CreateCodeInterpreter",
        "*",
        ("bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:Create*", "*", "bedrock-agentcore:ListTags*"),
        ("*", f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/*"),
        {**COMMON, **keys},
        context,
        wildcard_only=True,
    )
    return _case(dice, request)


def _function(dice: random.Random) -> Case:
    request = Request(
        "lambda:InvokeFunction",
        FUNCTION,
        ("lambda:InvokeFunction", "lambda:Invoke*", "lambda:*", "lambda:GetFunction"),
        (FUNCTION, f"{FUNCTION}*", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*", f"{FUNCTION}:1"),
        {**COMMON, **SOURCES},
    )
    return _case(dice, request, with_resource_policy=0.4)


KINDS: Sequence[Callable[[random.Random], Case]] = (
    *(_object, _object, _list, _trust, _pass_role, _key, _session, _create, _function),
)


def _case(dice: random.Random, request: Request, *, with_resource_policy: float = 0, asking: str | None = None) -> Case:
    principal = asking or dice.choice((SESSION, SESSION, USER, FOREIGN if with_resource_policy else SESSION))
    context = {**_context(dice, principal, request), **request.context}
    make = _Maker(dice, request, context)
    is_service = principal in SERVICES
    case = Case(principal, request.action, request.resource, ACCOUNT, context)
    if not is_service:
        case.identity = [make.policy() for _ in range(dice.choice((0, 1, 1, 2)))]
        case.boundary = make.policy(wide=0.5) if dice.random() < 0.25 else None
    if dice.random() < with_resource_policy:
        case.of_resource = make.policy(principals=True)
    if principal in (SESSION, FOREIGN) and case.of_resource is None and dice.random() < 0.2:
        case.session = make.policy(wide=0.5)
    return case


def _context(dice: random.Random, principal: str, request: Request) -> dict[str, Any]:
    common: dict[str, Any] = {
        "aws:SecureTransport": dice.choice(("true", "true", "true", "false")),
        "aws:SourceIp": dice.choice(("10.1.2.3", "10.1.9.9", "192.0.2.7", "203.0.113.5", "2001:db8::7")),
        "aws:CurrentTime": dice.choice(("2026-11-20T08:30:00Z", "2026-11-21T12:00:00Z", "2026-12-24T18:00:00Z")),
        "aws:RequestedRegion": REGION,
    }
    if not request.wildcard_only:
        common["aws:ResourceAccount"] = ACCOUNT
    if principal in SERVICES:
        arn = dice.choice((INTERPRETER, INTERPRETER.replace("demo", "evil"), SOURCES["aws:SourceArn"].values[-1]))
        return common | _some(
            dice, {"aws:SourceAccount": dice.choice((ACCOUNT, ACCOUNT, OTHER)), "aws:SourceArn": arn}, 0.9
        )
    common |= {"aws:PrincipalArn": ROLE_BEHIND[principal], "aws:PrincipalAccount": principal.split(":")[4]}
    if principal == USER:
        common["aws:username"] = "alice"
    return common | _some(dice, {"aws:PrincipalTag/team": dice.choice(("claims", "motor"))}, 0.7)


def _some(dice: random.Random, values: Mapping[str, Any], share: float = 0.6) -> dict[str, Any]:
    return {name: value for name, value in values.items() if dice.random() < share}


class _Maker:
    """Policies about one request."""

    def __init__(self, dice: random.Random, request: Request, context: Mapping[str, Any]) -> None:
        self._dice, self._request, self._context = dice, request, context

    def policy(self, *, principals: bool = False, wide: float = 0) -> dict[str, Any]:
        """A document; `wide` is how probably it allows everything beside."""
        statements = [self._statement(principals=principals) for _ in range(self._dice.choice((1, 1, 2, 3)))]
        if self._dice.random() < wide:
            statements.append({"Effect": "Allow", "Action": "*", "Resource": "*"})
        return {"Version": "2012-10-17", "Statement": statements}

    def _statement(self, *, principals: bool) -> dict[str, Any]:
        dice = self._dice
        is_allow = dice.random() < 0.75
        statement: dict[str, Any] = {"Effect": "Allow" if is_allow else "Deny"}
        if principals:
            statement |= self._principals(is_allow)
        actions = self._near(self._request.action, self._request.actions)
        statement["NotAction" if dice.random() < 0.08 else "Action"] = actions
        resources = self._near(self._request.resource, (*self._request.resources, "*"))
        statement["NotResource" if dice.random() < 0.08 else "Resource"] = resources
        conditions: dict[str, Any] = {}
        for _ in range(dice.choice((0, 0, 1, 1, 2)) + (not is_allow)):
            operator, key, values = self._condition()
            conditions.setdefault(operator, {})[key] = values
        return statement | ({"Condition": conditions} if conditions else {})

    def _near(self, own: str, others: Sequence[str]) -> str | list[str]:
        dice = self._dice
        chosen = [own if dice.random() < 0.5 else dice.choice(others) for _ in range(dice.choice((1, 1, 2)))]
        return chosen[0] if len(chosen) == 1 and dice.random() < 0.5 else list(dict.fromkeys(chosen))

    def _principals(self, is_allow: bool) -> dict[str, Any]:
        dice = self._dice
        one: list[Any] = [
            "*",
            *({"AWS": name} for name in (ROLE, USER, SESSION, FOREIGN_ROLE, FOREIGN, ACCOUNT, "*")),
            {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            {"AWS": [OTHER, ROLE]},
            {"AWS": [ROLE, USER]},
            *({"Service": name} for name in SERVICES),
            {"Service": [*SERVICES]},
            {"Service": SERVICE, "AWS": USER},
        ]
        if not is_allow and dice.random() < 0.2:
            return {"NotPrincipal": dice.choice([name for name in one if name not in ("*", {"AWS": "*"})])}
        return {"Principal": dice.choice(one)}

    def _condition(self) -> tuple[str, str, str | list[str]]:
        dice = self._dice
        key = dice.choice([*self._request.keys, *(name for name in self._context if name in self._request.keys)])
        kind = self._request.keys[key]
        if dice.random() < 0.08:
            return "Null", key, dice.choice(("true", "false"))
        operator = dice.choice(OPERATORS[kind.kind])
        if kind.kind == "texts" or dice.random() < 0.04:
            operator = f"{dice.choice(('ForAllValues', 'ForAnyValue'))}:{operator}"
        if dice.random() < 0.15 and not operator.startswith("ForAny"):
            operator += "IfExists"
        values = [self._value(key, kind) for _ in range(dice.choice((1, 1, 1, 2)))]
        if "Arn" in operator:
            values = [value for value in values if value.startswith("arn:")] or [ROLE]
        return operator, key, values[0] if len(values) == 1 and dice.random() < 0.5 else list(dict.fromkeys(values))

    def _value(self, key: str, kind: Key) -> str:
        own = self._context.get(key)
        if own is None or self._dice.random() < 0.4:
            return self._dice.choice(kind.values)
        own = own if isinstance(own, str) else self._dice.choice(own)
        return own + ("/128" if ":" in own else "/32") if kind.kind == "address" else own
