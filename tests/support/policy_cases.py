"""Random requests and policies of the kinds that the project deploys, from a seed.

A case is a request with its context and the policy documents that apply.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from tests.support.policy_generator import (
    ACCOUNT,
    BUCKET,
    COMMON,
    CUSTOMER_KEY,
    FOREIGN,
    FUNCTION,
    INTERPRETER,
    KEY,
    OTHER,
    OTHER_VPC,
    REGION,
    ROLE,
    SERVICE,
    SERVICES,
    SESSION,
    SOURCES,
    USER,
    VPC,
    Case,
    Key,
    Request,
    generate_case,
    sample,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


STATE_MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"
LOG_GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"
ENCRYPTION_CONTEXTS = (
    ("aws:s3:arn", BUCKET, f"{BUCKET}/tenants/demo/*", f"{BUCKET}/*"),
    ("aws:logs:arn", f"{LOG_GROUP}/aws/lambda/session", f"{LOG_GROUP}/aws/*", f"{LOG_GROUP}*"),
    ("aws:states:stateMachineArn", f"{STATE_MACHINE}run-code", f"{STATE_MACHINE}*"),
)
"""Keys of encryption contexts, and values that a policy may have."""


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
        sample(rng, context),
    )
    return generate_case(rng, request, with_resource_policy=0.6)


def _list(rng: random.Random) -> Case:
    keys = {
        "s3:prefix": Key(
            "text", ("tenants/demo/*", "tenants/demo/sandbox/", "", "${aws:username}/*", "tenants/??mo/*")
        ),
        "s3:delimiter": Key("text", ("/",)),
        "s3:max-keys": Key("number", ("10", "100", "1000", "10.5")),
    }
    context = sample(
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
    return generate_case(rng, request, with_resource_policy=0.5)


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
        sample(rng, {"sts:ExternalId": "secret", "sts:RoleSessionName": rng.choice(("run-1", "alice"))}),
    )
    caller = rng.choice((*SERVICES, SERVICE, SESSION, USER, FOREIGN))
    case = generate_case(rng, request, with_resource_policy=1, caller=caller)
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
        sample(rng, {"iam:PassedToService": rng.choice(SERVICES)}, 0.9),
    )
    return generate_case(rng, request)


def _key(rng: random.Random) -> Case:
    action = rng.choice(("kms:Decrypt", "kms:GenerateDataKey", "kms:CreateGrant"))
    name, *others = rng.choice(ENCRYPTION_CONTEXTS)
    keys = {
        "kms:ViaService": Key("text", (f"s3.{REGION}.amazonaws.com", "lambda.us-east-1.amazonaws.com", "s3.*")),
        "kms:CallerAccount": Key("text", (ACCOUNT, OTHER)),
        f"kms:EncryptionContext:{name}": Key("arn", tuple(others)),
    }
    context: dict[str, Any] = {
        "kms:ViaService": f"s3.{REGION}.amazonaws.com",
        "kms:CallerAccount": ACCOUNT,
        f"kms:EncryptionContext:{name}": rng.choice(others),
    }
    if action == "kms:CreateGrant":
        keys["kms:GrantIsForAWSResource"] = Key("boolean", ("true", "false"))
        context["kms:GrantIsForAWSResource"] = rng.choice(("true", "false"))
    else:
        keys["kms:EncryptionContextKeys"] = Key("texts", (name, "aws:*", "team"))
        context["kms:EncryptionContextKeys"] = rng.choice(([name], [name, "team"]))
    request = Request(
        action,
        KEY,
        ("kms:Decrypt", "kms:GenerateDataKey*", "kms:*", "kms:Encrypt", "kms:CreateGrant"),
        (KEY, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*", f"arn:aws:kms:*:{OTHER}:key/*"),
        {**{name: COMMON[name] for name in ("aws:PrincipalArn", "aws:PrincipalIsAWSService")}, **keys},
        sample(rng, context, 0.8),
    )
    caller = rng.choice((SESSION, SESSION, USER, FOREIGN, f"logs.{REGION}.amazonaws.com", "states.amazonaws.com"))
    case = generate_case(rng, request, with_resource_policy=1, caller=caller)
    if case.resource_policy and rng.random() < 0.5:  # so that conditions of statements that deny decide
        everyone = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
        case.resource_policy["Statement"].append(everyone)
    if case.resource_policy and action == "kms:CreateGrant":
        condition = {rng.choice(("Bool", "BoolIfExists")): {"kms:GrantIsForAWSResource": rng.choice(("true", "false"))}}
        grants = {"Effect": rng.choice(("Allow", "Deny")), "Principal": "*", "Action": action, "Resource": "*"}
        case.resource_policy["Statement"].append({**grants, "Condition": condition})
    return case


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
    return generate_case(rng, request)


def _create(rng: random.Random) -> Case:
    keys = {
        "aws:TagKeys": Key("texts", ("team", "cost", "t*")),
        "aws:RequestTag/team": Key("text", ("claims", "motor", "${aws:PrincipalTag/team}")),
    }
    context = sample(rng, {"aws:RequestTag/team": "claims", "aws:TagKeys": rng.choice((["team"], ["team", "cost"]))})
    request = Request(
        "bedrock-agentcore:CreateCodeInterpreter",
        "*",
        ("bedrock-agentcore:CreateCodeInterpreter", "bedrock-agentcore:Create*", "*", "bedrock-agentcore:ListTags*"),
        ("*", f"arn:aws:bedrock-agentcore:{REGION}:{ACCOUNT}:code-interpreter-custom/*"),
        {**COMMON, **keys},
        context,
        wildcard_only=True,
    )
    return generate_case(rng, request)


def _function(rng: random.Random) -> Case:
    request = Request(
        "lambda:InvokeFunction",
        FUNCTION,
        ("lambda:InvokeFunction", "lambda:Invoke*", "lambda:*", "lambda:GetFunction"),
        (FUNCTION, f"{FUNCTION}*", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:*", f"{FUNCTION}:1"),
        {**COMMON, **SOURCES},
    )
    return generate_case(rng, request, with_resource_policy=0.4)


KINDS: Sequence[Callable[[random.Random], Case]] = (
    *(_object, _object, _list, _trust, _pass_role, _key, _session, _create, _function),
)
