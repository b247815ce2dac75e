"""Policies as AWS's documentation describes them, line by line; and documents that nobody may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandpiper_policy.document import Kind, policy
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import Layer, Outcome, Policies, Request, access_denied, evaluate
from sandpiper_policy.principals import ANONYMOUS, Principal

if TYPE_CHECKING:
    from sandpiper_policy.context import Value
    from sandpiper_policy.evaluate import Decision

ACCOUNT, OTHER = "111122223333", "444455556666"
BUCKET = "arn:aws:s3:::data"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/path/worker"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/one"
FOREIGN = f"arn:aws:sts::{OTHER}:assumed-role/worker/one"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SERVICE = "lambda.amazonaws.com"
ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def identity(*statements: dict[str, Any], version: str = "2012-10-17") -> Any:
    return policy("the identity policy", Kind.IDENTITY, document(*statements, version=version))


def of_resource(*statements: dict[str, Any]) -> Any:
    return policy("the bucket policy", Kind.RESOURCE, document(*statements))


def ask(
    policies: Policies,
    principal: str = SESSION,
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/a/b",
    **context: Value,
) -> Decision:
    keys = {name.replace("__", ":"): value for name, value in context.items()}
    return evaluate(Request(Principal.of(principal), action, resource, ACCOUNT, keys), policies)


def allows(statement: dict[str, Any], keys: dict[str, Value] | None = None, **asked: Any) -> bool:
    policies = Policies([identity({"Effect": "Allow", "Action": "*", "Resource": "*"} | statement)])
    request = {"action": "s3:GetObject", "resource": f"{BUCKET}/a/b"} | asked
    return evaluate(Request(Principal.of(SESSION), **request, account=ACCOUNT, context=keys or {}), policies).allowed


@pytest.mark.parametrize(
    ("element", "given", "allowed"),
    [
        ("Action", "s3:GetObject", True),
        ("Action", "S3:getOBJECT", True),
        ("Action", ["s3:PutObject", "s3:Get*"], True),
        ("Action", "s3:Get?bject", True),
        ("Action", "s3:GetObjec", False),
        ("NotAction", "s3:PutObject", True),
        ("NotAction", ["s3:PutObject", "s3:*"], False),
        ("Resource", f"{BUCKET}/a/*", True),
        ("Resource", f"{BUCKET}/A/*", False),
        ("Resource", BUCKET, False),
        ("Resource", "arn:aws:s3:::*", True),
        ("Resource", "arn:aws:s3*", True),
        ("Resource", "arn:aws:sqs:*", False),
        ("Resource", f"{BUCKET}/a.b", False),
        ("NotResource", f"{BUCKET}/c/*", True),
        ("NotResource", [f"{BUCKET}/c/*", f"{BUCKET}/*"], False),
    ],
)
def test_actions_and_resources(element: str, given: Any, allowed: bool) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    del statement[element.removeprefix("Not")]
    policies = Policies([identity(statement | {element: given})])
    assert ask(policies).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "arn", "allowed"),
    [
        # A wildcard stays in its part, save in the last one.
        ("arn:aws:lambda:*:function:f", "arn:aws:lambda:us-east-1:1:function:f", False),
        ("arn:aws:lambda:us-east-1:*:function:f", "arn:aws:lambda:us-east-1:1:function:f", True),
        ("arn:aws:logs:us-east-1:1:log-group:*", "arn:aws:logs:us-east-1:1:log-group:a:log-stream:b", True),
        # The type of a resource takes no wildcard, and a name without a type is no type.
        ("arn:aws:iam::1:rol*/x", "arn:aws:iam::1:role/x", False),
        ("arn:aws:iam::1:*", "arn:aws:iam::1:role/x", True),
        ("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/x/y", True),
    ],
)
def test_parts_of_an_arn(pattern: str, arn: str, allowed: bool) -> None:
    assert allows({"Resource": pattern}, resource=arn) is allowed


@pytest.mark.parametrize(
    ("resource", "keys", "allowed"),
    [
        ("${aws:username}/*", {"aws:username": "a"}, True),
        ("${AWS:UserName}/*", {"aws:username": "a"}, True),
        ("${aws:username}/*", {"aws:username": "*"}, False),
        ("${aws:username}/*", {}, False),
        ("${aws:username, 'a'}/*", {}, True),
        ("${aws:username, 'a'}/*", {"aws:username": "c"}, False),
        ("${aws:TagKeys}/*", {"aws:TagKeys": ["a"]}, False),
        ("${*}/*", {}, False),
        ("a/${?}", {}, False),
    ],
)
def test_variables(resource: str, keys: dict[str, Value], allowed: bool) -> None:
    assert allows({"Resource": f"{BUCKET}/{resource}"}, keys) is allowed


def test_variables_are_texts_in_the_older_version() -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": f"{BUCKET}/${{aws:username}}"}
    for version, asked, allowed in (
        ("2008-10-17", "${aws:username}", True),
        ("2008-10-17", "alice", False),
        ("2012-10-17", "alice", True),
    ):
        policies = Policies([identity(statement, version=version)])
        assert ask(policies, resource=f"{BUCKET}/{asked}", aws__username="alice").allowed is allowed


def test_a_variable_without_a_value_is_no_exception_either() -> None:
    statement = {"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/${{aws:username}}"}
    assert not ask(Policies([identity(statement)])).allowed
    assert ask(Policies([identity(statement)]), aws__username="c").allowed


CONDITIONS: list[tuple[str, Any, Value | None, bool]] = [
    ("StringEquals", "a", "a", True),
    ("StringEquals", "a", "A", False),
    ("StringEquals", ["a", "b"], "b", True),
    ("StringEquals", "a*", "ab", False),
    ("StringEquals", "a", None, False),
    ("StringNotEquals", "a", "b", True),
    ("StringNotEquals", ["a", "b"], "b", False),
    ("StringNotEquals", "a", None, True),
    ("StringEqualsIgnoreCase", "a", "A", True),
    ("StringNotEqualsIgnoreCase", "a", "A", False),
    ("StringLike", "a?c*", "abcde", True),
    ("StringLike", "a", "ab", False),
    ("StringLike", "a*", "a\nb", True),
    ("StringNotLike", "a*", "ab", False),
    ("StringLike", "", "", True),
    ("NumericEquals", "1", "1.0", True),
    ("NumericEquals", 1, "1", True),
    ("NumericNotEquals", "1", "2", True),
    ("NumericLessThan", "10", "9", True),
    ("NumericLessThanEquals", "10", "10", True),
    ("NumericGreaterThan", "10", "9", False),
    ("NumericGreaterThanEquals", "10", "10.5", True),
    ("NumericLessThan", "10", "many", False),
    ("NumericNotEquals", "10", "many", False),
    ("DateEquals", "2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00", True),
    ("DateNotEquals", "2026-11-21", "2026-11-22T00:00:00Z", True),
    ("DateLessThan", "2026-11-21T12:00:00Z", "2026-11-21T11:59:59Z", True),
    ("DateLessThanEquals", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00Z", True),
    ("DateGreaterThan", "2026-11-21T12:00:00Z", "2026-11-21T11:59:59Z", False),
    ("DateGreaterThanEquals", "1795262400", "2026-11-21T12:00:00Z", True),
    ("Bool", "true", "true", True),
    ("Bool", True, "TRUE", True),
    ("Bool", "false", None, False),
    ("BoolIfExists", "false", None, True),
    ("Bool", "true", "yes", False),
    ("BinaryEquals", "QQ==", "QQ==", True),
    ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
    ("IpAddress", "10.1.2.3", "10.1.2.3", True),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "10.0.0.0/8", "2001:db8::1", False),
    ("NotIpAddress", "10.0.0.0/8", "2001:db8::1", True),
    ("NotIpAddress", "10.1.2.3", "2001:db8::1", True),
    ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
    ("NotIpAddress", "10.0.0.0/8", "nowhere", False),
    ("ArnEquals", "arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a/b", True),
    ("ArnLike", "arn:aws:iam:*:1:a", "arn:aws:iam:x:y:1:a", False),
    ("ArnLike", "arn:aws:iam::*:role/a", "arn:aws:iam::1:role/a", True),
    ("ArnLike", "arn:aws:x:r:1:y/n-??????????", "arn:aws:x:r:1:y/n-AbCdEf1234", True),
    ("ArnLike", "arn:aws:x:r:1:y/n-??????????", "arn:aws:x:r:1:y/n_evil-AbCdEf1234", False),
    ("ArnNotLike", "arn:aws:iam::1:role/*", "arn:aws:iam::2:role/a", True),
    ("ArnNotEquals", "arn:aws:iam::1:role/*", "arn:aws:iam::1:role/a", False),
    ("ArnNotEquals", "arn:aws:iam::1:role/*", "no arn", False),
    ("Null", "true", None, True),
    ("Null", "false", None, False),
    ("Null", "false", "a", True),
    ("Null", True, ["a"], False),
    ("StringEqualsIfExists", "a", None, True),
    ("StringEqualsIfExists", "a", "b", False),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "b"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", "a", [], True),
    ("ForAllValues:StringEquals", "a", None, True),
    ("ForAllValues:StringEquals", "a", "a", True),
    ("ForAllValues:StringNotEquals", "a", ["b", "c"], True),
    ("ForAnyValue:StringEquals", "a", ["a", "c"], True),
    ("ForAnyValue:StringEquals", "a", ["b", "c"], False),
    ("ForAnyValue:StringEquals", "a", [], False),
    ("ForAnyValue:StringEquals", "a", None, False),
    ("ForAnyValue:StringNotEquals", "a", None, False),
    ("ForAnyValue:StringNotEquals", "a", ["a", "b"], True),
    ("foranyvalue:stringlikeifexists", "a*", ["ab"], True),
    # A multivalued key needs a set operator.
    ("StringEquals", "a", ["a"], False),
    ("StringNotEquals", "a", ["b"], False),
]


@pytest.mark.parametrize(("operator", "wanted", "given", "holds"), CONDITIONS)
def test_conditions(operator: str, wanted: Any, given: Value | None, holds: bool) -> None:
    keys = {} if given is None else {"X:Key": given}
    assert allows({"Condition": {operator: {"x:key": wanted}}}, keys) is holds


def test_all_conditions_have_to_hold() -> None:
    conditions = {"StringEquals": {"x:a": "1", "x:b": "1"}, "Bool": {"x:c": "true"}}
    keys: dict[str, Value] = {"x:a": "1", "x:b": "1", "x:c": "true"}
    assert allows({"Condition": conditions}, keys)
    for name in keys:
        assert not allows({"Condition": conditions}, keys | {name: "0"})


DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
EVERYBODY = ALL | {"Principal": "*"}
LIMIT = identity({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"})
NAMED = [({"AWS": ROLE}, False), ({"AWS": SESSION}, True), ("*", True), ({"AWS": "*"}, True)]


@pytest.mark.parametrize("layer", Layer)
def test_a_deny_wins_wherever_it_stands(layer: Layer) -> None:
    allowing = {Layer.IDENTITY: [ALL], Layer.BOUNDARY: [ALL], Layer.SESSION: [ALL], Layer.RESOURCE: [EVERYBODY]}

    def decide(statements: dict[Layer, list[dict[str, Any]]]) -> Decision:
        return ask(
            Policies(
                [identity(*statements[Layer.IDENTITY])],
                identity(*statements[Layer.BOUNDARY]),
                [identity(*statements[Layer.SESSION])],
                of_resource(*statements[Layer.RESOURCE]),
            )
        )

    assert decide(allowing).allowed
    denying = DENY_ALL | ({"Principal": "*"} if layer is Layer.RESOURCE else {}) | {"Sid": "Never"}
    decision = decide(allowing | {layer: [*allowing[layer], denying]})
    assert (decision.outcome, decision.layer) == (Outcome.DENIED, layer)
    assert decision.statements[0].sid == "Never"
    assert decision.reason.startswith("denied by statement Never of the ")


def test_what_is_missing_is_named() -> None:
    for policies, layer in (
        (Policies(), Layer.IDENTITY),
        (Policies([identity(ALL)], boundary=LIMIT), Layer.BOUNDARY),
        (Policies([identity(ALL)], session=[LIMIT]), Layer.SESSION),
        (Policies([identity(ALL)], session=[]), Layer.SESSION),
        (Policies([identity(ALL)], resource_rules=True), Layer.RESOURCE),
    ):
        decision = ask(policies)
        assert (decision.outcome, decision.layer, decision.statements) == (Outcome.NOT_ALLOWED, layer, ())


def test_the_sentence_that_services_answer() -> None:
    request = Request(Principal.of(SESSION), "s3:GetObject", f"{BUCKET}/a", ACCOUNT)
    asked = f'User: {SESSION} is not authorized to perform: s3:GetObject on resource: "{BUCKET}/a"'
    for policies, why in (
        (Policies(), "because no identity-based policy allows the s3:GetObject action"),
        (Policies([identity(DENY_ALL)]), "with an explicit deny in an identity-based policy"),
        (Policies([identity(ALL)], boundary=LIMIT), "because no permissions boundary allows the s3:GetObject action"),
    ):
        assert access_denied(request, evaluate(request, policies)) == f"{asked} {why}"


def test_the_sentence_of_other_services_has_the_resource_without_quotes() -> None:
    request = Request(Principal.of(SESSION), "sns:Publish", "arn:aws:sns:us-east-1:123456789012:a", ACCOUNT)
    said = access_denied(request, evaluate(request, Policies()))
    assert f" on resource: {request.resource} because no " in said


@pytest.mark.parametrize(("principal", "unlimited"), NAMED)
def test_a_resource_lets_in_whom_it_names_and_limits_bind_those_named_by_their_role(
    principal: Any, unlimited: bool
) -> None:
    resource = of_resource(ALL | {"Principal": principal})
    assert ask(Policies(resource=resource)).allowed
    assert ask(Policies(resource=resource, boundary=LIMIT)).allowed is unlimited
    assert ask(Policies(resource=resource, session=[LIMIT])).allowed is unlimited


@pytest.mark.parametrize("account", [ACCOUNT, ROOT])
def test_a_resource_that_names_the_account_leaves_it_to_the_account(account: str) -> None:
    resource = of_resource(ALL | {"Principal": {"AWS": account}})
    for rules in (False, True):
        assert not ask(Policies(resource=resource, resource_rules=rules)).allowed
        assert ask(Policies([identity(ALL)], resource=resource, resource_rules=rules)).allowed
    assert not ask(Policies([identity(ALL)], boundary=LIMIT, resource=resource)).allowed


@pytest.mark.parametrize("principal", [{"AWS": OTHER}, {"AWS": FOREIGN}, "*"])
def test_between_accounts_both_have_to_allow(principal: Any) -> None:
    resource = of_resource(ALL | {"Principal": principal})
    assert ask(Policies([identity(ALL)], resource=resource), FOREIGN).allowed
    assert not ask(Policies(resource=resource), FOREIGN).allowed
    assert not ask(Policies([identity(ALL)]), FOREIGN).allowed
    assert not ask(Policies([identity(ALL)], boundary=LIMIT, resource=resource), FOREIGN).allowed


@pytest.mark.parametrize(
    ("principal", "asking", "named"),
    [
        ({"Service": SERVICE}, SERVICE, True),
        ({"Service": SERVICE}, "states.amazonaws.com", False),
        ({"Service": SERVICE}, SESSION, False),
        ({"Service": SERVICE}, ROOT, False),
        ({"Service": [SERVICE, "states.amazonaws.com"]}, "states.amazonaws.com", True),
        ({"AWS": ROLE}, SESSION, True),
        ({"AWS": ROLE}, f"arn:aws:sts::{ACCOUNT}:assumed-role/other/one", False),
        ({"AWS": ROLE}, FOREIGN, False),
        ({"AWS": SESSION}, f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/two", False),
        ({"AWS": USER}, USER, True),
        ({"AWS": USER}, f"arn:aws:iam::{ACCOUNT}:user/bob", False),
        ({"AWS": USER}, f"arn:aws:sts::{ACCOUNT}:federated-user/alice", True),
        ({"AWS": "AROAEXAMPLEEXAMPLE123"}, SESSION, False),
        ({"AWS": ROOT}, ROOT, True),
        ({"AWS": ACCOUNT}, ROOT, True),
        ({"AWS": OTHER}, ROOT, False),
        ({"AWS": ACCOUNT}, SERVICE, False),
        ({"Federated": "accounts.google.com"}, "accounts.google.com", True),
        ({"Federated": "accounts.google.com"}, USER, False),
        ({"CanonicalUser": "79a59df900b949e55d96a1e698fbaced"}, USER, False),
        ({"Service": SERVICE, "AWS": USER}, USER, True),
    ],
)
def test_a_trust_policy_admits_whom_it_names(principal: Any, asking: str, named: bool) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    trust = policy("trust", Kind.TRUST, document(statement))
    assert ask(Policies(resource=trust, resource_rules=True), asking, "sts:AssumeRole", ROLE).allowed is named


def test_not_principal_spares_whom_it_names_and_nobody_with_a_boundary() -> None:
    denying = of_resource(DENY_ALL | {"NotPrincipal": {"AWS": ROLE}}, EVERYBODY)
    assert ask(Policies(resource=denying)).allowed
    assert ask(Policies(resource=denying), USER).outcome is Outcome.DENIED
    assert ask(Policies(resource=denying, boundary=identity(ALL))).outcome is Outcome.DENIED


def test_nobody_in_particular_is_let_in_by_everybody_alone() -> None:
    for principal, allowed in (("*", True), ({"AWS": ACCOUNT}, False)):
        policies = Policies(resource=of_resource(ALL | {"Principal": principal}))
        assert evaluate(Request(ANONYMOUS, "s3:GetObject", f"{BUCKET}/a", ACCOUNT), policies).allowed is allowed


def test_the_root_needs_no_policy_of_its_own_and_a_resource_may_deny_it() -> None:
    assert ask(Policies(), ROOT).allowed
    assert not ask(Policies(resource=of_resource(DENY_ALL | {"Principal": "*"})), ROOT).allowed


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("{", "the policy: not JSON"),
        ([], "not a JSON object"),
        ({"Version": "2020-01-01", "Statement": ALL}, "the version '2020-01-01' is none of"),
        ({"Statement": []}, "there is no statement"),
        ({"Statement": ALL, "Comment": "x"}, "Comment is no element of a policy"),
        ({}, "statement 1: not a JSON object"),
        (document(ALL, ALL | {"Effect": "allow"}), "statement 2: the effect 'allow' is neither Allow nor Deny"),
        (document(ALL | {"NotAction": "s3:*"}), "exactly one of Action and NotAction"),
        (document({"Effect": "Allow", "Action": "*"}), "exactly one of Resource and NotResource"),
        (document(ALL | {"Resource": []}), "Resource is empty"),
        (document(ALL | {"Resource": "data/*"}), "the resource 'data/\\*' is neither an ARN nor \\*"),
        (document(ALL | {"Action": "GetObject"}), "the action 'GetObject' is neither \\* nor SERVICE:NAME"),
        (document(ALL | {"Action": "s*:Get"}), "the action 's\\*:Get' is neither"),
        (document(ALL | {"Action": [{}]}), "Action has a value that is no text"),
        (document(ALL | {"Resource": "arn:aws:s3:::a/${aws:x"}), "has no closing brace"),
        (document(ALL | {"Principal": "*"}), "an identity-based policy has no Principal"),
        (document(ALL | {"Conditions": {}}), "Conditions is no element of a statement"),
        (document(ALL | {"Condition": "x"}), "Condition is no object"),
        (document(ALL | {"Condition": {"StringMatches": {"a": "b"}}}), "'StringMatches' is no condition operator"),
        (document(ALL | {"Condition": {"NullIfExists": {"a": "true"}}}), "'NullIfExists' is no condition operator"),
        (document(ALL | {"Condition": {"Null": {"a": "no"}}}), "Null takes true or false"),
        (document(ALL | {"Condition": {"StringEquals": "b"}}), "StringEquals is no object"),
        (document(ALL | {"Condition": {"NumericEquals": {"a": "b"}}}), "'b' is not a number"),
        (document(ALL | {"Condition": {"DateEquals": {"a": "b"}}}), "'b' is not a date"),
        (document(ALL | {"Condition": {"Bool": {"a": "b"}}}), "'b' is not true or false"),
        (document(ALL | {"Condition": {"IpAddress": {"a": "b"}}}), "'b' is neither an IP address"),
        (document(ALL | {"Condition": {"ArnLike": {"a": "b"}}}), "'b' is not an ARN"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_place(broken: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        policy("the policy", Kind.IDENTITY, broken)


@pytest.mark.parametrize(
    ("principal", "message"),
    [
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, "has a wildcard"),
        ({"Service": "*"}, "has a wildcard"),
        ({"Robot": "x"}, "'Robot' is no kind of principal"),
        ({}, "neither \\* nor an object"),
        ("x", "neither \\* nor an object"),
        ({"AWS": [1]}, "is no text"),
    ],
)
def test_a_principal_that_nobody_can_be_is_refused(principal: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        of_resource(ALL | {"Principal": principal})


def test_a_resource_policy_names_somebody() -> None:
    with pytest.raises(PolicyError, match="exactly one of Principal and NotPrincipal is required"):
        of_resource(ALL)
