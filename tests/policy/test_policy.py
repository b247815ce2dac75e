"""The evaluator against the documented behavior of IAM, and the documents that the parser rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import Layer, Outcome, Policies, Request, access_denied_message, evaluate
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
    return parse_policy("the identity policy", PolicyKind.IDENTITY, document(*statements, version=version))


def resource_policy(*statements: dict[str, Any]) -> Any:
    return parse_policy("the bucket policy", PolicyKind.RESOURCE, document(*statements))


def decide_request(
    policies: Policies,
    principal: str = SESSION,
    action: str = "s3:GetObject",
    resource: str = f"{BUCKET}/a/b",
    **context: Value,
) -> Decision:
    keys = {name.replace("__", ":"): value for name, value in context.items()}
    return evaluate(Request(Principal.parse(principal), action, resource, ACCOUNT, keys), policies)


def allows(statement: dict[str, Any], keys: dict[str, Value] | None = None, **request: Any) -> bool:
    policies = Policies([identity({"Effect": "Allow", "Action": "*", "Resource": "*"} | statement)])
    merged = {"action": "s3:GetObject", "resource": f"{BUCKET}/a/b"} | request
    return evaluate(Request(Principal.parse(SESSION), **merged, account=ACCOUNT, context=keys or {}), policies).allowed


@pytest.mark.parametrize(
    ("element", "value", "allowed"),
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
def test_actions_and_resources_are_matched(element: str, value: Any, allowed: bool) -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    del statement[element.removeprefix("Not")]
    policies = Policies([identity(statement | {element: value})])
    assert decide_request(policies).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "arn", "allowed"),
    [
        # A wildcard matches within its part; the last part may contain colons.
        ("arn:aws:lambda:*:function:f", "arn:aws:lambda:us-east-1:1:function:f", False),
        ("arn:aws:lambda:us-east-1:*:function:f", "arn:aws:lambda:us-east-1:1:function:f", True),
        ("arn:aws:logs:us-east-1:1:log-group:*", "arn:aws:logs:us-east-1:1:log-group:a:log-stream:b", True),
        # A resource type cannot contain a wildcard. A name without a resource type can.
        ("arn:aws:iam::1:rol*/x", "arn:aws:iam::1:role/x", False),
        ("arn:aws:iam::1:*", "arn:aws:iam::1:role/x", True),
        ("arn:aws:iam::1:role/*", "arn:aws:iam::1:role/x/y", True),
    ],
)
def test_wildcards_match_within_one_part_of_an_arn(pattern: str, arn: str, allowed: bool) -> None:
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
def test_variables_are_replaced_by_context_values(resource: str, keys: dict[str, Value], allowed: bool) -> None:
    assert allows({"Resource": f"{BUCKET}/{resource}"}, keys) is allowed


def test_variables_are_literal_text_in_version_2008_10_17() -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": f"{BUCKET}/${{aws:username}}"}
    for version, name, allowed in (
        ("2008-10-17", "${aws:username}", True),
        ("2008-10-17", "alice", False),
        ("2012-10-17", "alice", True),
    ):
        policies = Policies([identity(statement, version=version)])
        assert decide_request(policies, resource=f"{BUCKET}/{name}", aws__username="alice").allowed is allowed


def test_not_resource_with_a_variable_without_a_value_matches_nothing() -> None:
    statement = {"Effect": "Allow", "Action": "*", "NotResource": f"{BUCKET}/${{aws:username}}"}
    assert not decide_request(Policies([identity(statement)])).allowed
    assert decide_request(Policies([identity(statement)]), aws__username="c").allowed


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


@pytest.mark.parametrize(("operator", "operand", "value", "holds"), CONDITIONS)
def test_condition_operators_are_evaluated(operator: str, operand: Any, value: Value | None, holds: bool) -> None:
    keys = {} if value is None else {"X:Key": value}
    assert allows({"Condition": {operator: {"x:key": operand}}}, keys) is holds


def test_all_conditions_must_hold() -> None:
    conditions = {"StringEquals": {"x:a": "1", "x:b": "1"}, "Bool": {"x:c": "true"}}
    keys: dict[str, Value] = {"x:a": "1", "x:b": "1", "x:c": "true"}
    assert allows({"Condition": conditions}, keys)
    for name in keys:
        assert not allows({"Condition": conditions}, keys | {name: "0"})


DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
ALLOW_EVERYONE = ALL | {"Principal": "*"}
LIMIT = identity({"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"})
NAMED = [({"AWS": ROLE}, False), ({"AWS": SESSION}, True), ("*", True), ({"AWS": "*"}, True)]


@pytest.mark.parametrize("layer", Layer)
def test_a_deny_in_any_layer_wins(layer: Layer) -> None:
    allowing = {Layer.IDENTITY: [ALL], Layer.BOUNDARY: [ALL], Layer.SESSION: [ALL], Layer.RESOURCE: [ALLOW_EVERYONE]}

    def decide(statements: dict[Layer, list[dict[str, Any]]]) -> Decision:
        return decide_request(
            Policies(
                [identity(*statements[Layer.IDENTITY])],
                identity(*statements[Layer.BOUNDARY]),
                [identity(*statements[Layer.SESSION])],
                resource_policy(*statements[Layer.RESOURCE]),
            )
        )

    assert decide(allowing).allowed
    denying = DENY_ALL | ({"Principal": "*"} if layer is Layer.RESOURCE else {}) | {"Sid": "Never"}
    decision = decide(allowing | {layer: [*allowing[layer], denying]})
    assert (decision.outcome, decision.layer) == (Outcome.DENIED, layer)
    assert decision.statements[0].sid == "Never"
    assert decision.reason.startswith("denied by statement Never of the ")


def test_the_decision_names_the_layer_that_lacks_an_allow() -> None:
    for policies, layer in (
        (Policies(), Layer.IDENTITY),
        (Policies([identity(ALL)], boundary=LIMIT), Layer.BOUNDARY),
        (Policies([identity(ALL)], session=[LIMIT]), Layer.SESSION),
        (Policies([identity(ALL)], session=[]), Layer.SESSION),
        (Policies([identity(ALL)], resource_policy_required=True), Layer.RESOURCE),
    ):
        decision = decide_request(policies)
        assert (decision.outcome, decision.layer, decision.statements) == (Outcome.NOT_ALLOWED, layer, ())


def test_the_access_denied_message_matches_the_message_of_services() -> None:
    request = Request(Principal.parse(SESSION), "s3:GetObject", f"{BUCKET}/a", ACCOUNT)
    prefix = f'User: {SESSION} is not authorized to perform: s3:GetObject on resource: "{BUCKET}/a"'
    for policies, why in (
        (Policies(), "because no identity-based policy allows the s3:GetObject action"),
        (Policies([identity(DENY_ALL)]), "with an explicit deny in an identity-based policy"),
        (Policies([identity(ALL)], boundary=LIMIT), "because no permissions boundary allows the s3:GetObject action"),
    ):
        assert access_denied_message(request, evaluate(request, policies)) == f"{prefix} {why}"


def test_the_access_denied_message_quotes_the_resource_only_for_s3() -> None:
    request = Request(Principal.parse(SESSION), "sns:Publish", "arn:aws:sns:us-east-1:123456789012:a", ACCOUNT)
    message = access_denied_message(request, evaluate(request, Policies()))
    assert f" on resource: {request.resource} because no " in message


@pytest.mark.parametrize(("principal", "unlimited"), NAMED)
def test_a_resource_policy_allows_the_principals_it_names_and_limits_apply_to_those_named_by_role(
    principal: Any, unlimited: bool
) -> None:
    resource = resource_policy(ALL | {"Principal": principal})
    assert decide_request(Policies(resource=resource)).allowed
    assert decide_request(Policies(resource=resource, boundary=LIMIT)).allowed is unlimited
    assert decide_request(Policies(resource=resource, session=[LIMIT])).allowed is unlimited


@pytest.mark.parametrize("account", [ACCOUNT, ROOT])
def test_a_resource_policy_that_names_the_account_requires_an_identity_policy(account: str) -> None:
    resource = resource_policy(ALL | {"Principal": {"AWS": account}})
    for required in (False, True):
        assert not decide_request(Policies(resource=resource, resource_policy_required=required)).allowed
        assert decide_request(Policies([identity(ALL)], resource=resource, resource_policy_required=required)).allowed
    assert not decide_request(Policies([identity(ALL)], boundary=LIMIT, resource=resource)).allowed


@pytest.mark.parametrize("principal", [{"AWS": OTHER}, {"AWS": FOREIGN}, "*"])
def test_access_between_accounts_requires_an_allow_of_both(principal: Any) -> None:
    resource = resource_policy(ALL | {"Principal": principal})
    assert decide_request(Policies([identity(ALL)], resource=resource), FOREIGN).allowed
    assert not decide_request(Policies(resource=resource), FOREIGN).allowed
    assert not decide_request(Policies([identity(ALL)]), FOREIGN).allowed
    assert not decide_request(Policies([identity(ALL)], boundary=LIMIT, resource=resource), FOREIGN).allowed


@pytest.mark.parametrize(
    ("principal", "caller", "named"),
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
def test_a_trust_policy_allows_the_principals_it_names(principal: Any, caller: str, named: bool) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    trust = parse_policy("trust", PolicyKind.TRUST, document(statement))
    assert (
        decide_request(Policies(resource=trust, resource_policy_required=True), caller, "sts:AssumeRole", ROLE).allowed
        is named
    )


def test_not_principal_excludes_the_principals_it_names_unless_they_have_a_boundary() -> None:
    deny = resource_policy(DENY_ALL | {"NotPrincipal": {"AWS": ROLE}}, ALLOW_EVERYONE)
    assert decide_request(Policies(resource=deny)).allowed
    assert decide_request(Policies(resource=deny), USER).outcome is Outcome.DENIED
    assert decide_request(Policies(resource=deny, boundary=identity(ALL))).outcome is Outcome.DENIED


def test_anonymous_callers_are_allowed_only_by_a_wildcard_principal() -> None:
    for principal, allowed in (("*", True), ({"AWS": ACCOUNT}, False)):
        policies = Policies(resource=resource_policy(ALL | {"Principal": principal}))
        assert evaluate(Request(ANONYMOUS, "s3:GetObject", f"{BUCKET}/a", ACCOUNT), policies).allowed is allowed


def test_the_account_root_needs_no_policy_and_a_resource_policy_may_deny_it() -> None:
    assert decide_request(Policies(), ROOT).allowed
    assert not decide_request(Policies(resource=resource_policy(DENY_ALL | {"Principal": "*"})), ROOT).allowed


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ("{", "the policy: not JSON"),
        ([], "not a JSON object"),
        ({"Version": "2020-01-01", "Statement": ALL}, "Version is '2020-01-01'; allowed: 2012-10-17"),
        ({"Statement": []}, "Statement is empty; allowed: one or more"),
        ({"Statement": ALL, "Comment": "x"}, "unknown element Comment of a policy"),
        ({}, "statement 1: not a JSON object"),
        (document(ALL, ALL | {"Effect": "allow"}), "statement 2: Effect is 'allow'; allowed: Allow \\| Deny"),
        (document(ALL | {"NotAction": "s3:*"}), "exactly one of Action and NotAction"),
        (document({"Effect": "Allow", "Action": "*"}), "exactly one of Resource and NotResource"),
        (document(ALL | {"Resource": []}), "Resource is empty"),
        (document(ALL | {"Resource": "data/*"}), "the resource 'data/\\*' is neither an ARN nor \\*"),
        (document(ALL | {"Action": "GetObject"}), "the action 'GetObject' is neither \\* nor SERVICE:NAME"),
        (document(ALL | {"Action": "s*:Get"}), "the action 's\\*:Get' is neither"),
        (document(ALL | {"Action": [{}]}), "Action has a value that is not a string"),
        (document(ALL | {"Resource": "arn:aws:s3:::a/${aws:x"}), "has no closing brace"),
        (document(ALL | {"Principal": "*"}), "an identity-based policy cannot have Principal"),
        (document(ALL | {"Conditions": {}}), "unknown element Conditions of a statement"),
        (document(ALL | {"Condition": "x"}), "Condition is not an object"),
        (document(ALL | {"Condition": {"StringMatches": {"a": "b"}}}), "'StringMatches' is not a condition operator"),
        (document(ALL | {"Condition": {"NullIfExists": {"a": "true"}}}), "'NullIfExists' is not a condition operator"),
        (document(ALL | {"Condition": {"Null": {"a": "no"}}}), "Null is no; allowed: true \\| false"),
        (document(ALL | {"Condition": {"StringEquals": "b"}}), "StringEquals is not an object"),
        (document(ALL | {"Condition": {"NumericEquals": {"a": "b"}}}), "'b' is not a number"),
        (document(ALL | {"Condition": {"DateEquals": {"a": "b"}}}), "'b' is not a date"),
        (document(ALL | {"Condition": {"Bool": {"a": "b"}}}), "'b' is not true or false"),
        (document(ALL | {"Condition": {"IpAddress": {"a": "b"}}}), "'b' is neither an IP address"),
        (document(ALL | {"Condition": {"ArnLike": {"a": "b"}}}), "'b' is not an ARN"),
    ],
)
def test_an_invalid_policy_is_rejected_with_its_location(invalid: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        parse_policy("the policy", PolicyKind.IDENTITY, invalid)


@pytest.mark.parametrize(
    ("principal", "message"),
    [
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, "has a wildcard"),
        ({"Service": "*"}, "has a wildcard"),
        ({"Robot": "x"}, "'Robot' is not a principal type"),
        ({"*": "*"}, "'\\*' is not a principal type"),
        ({"*": "anyone"}, "'\\*' is not a principal type"),
        ({}, "neither \\* nor an object"),
        ("x", "neither \\* nor an object"),
        ({"AWS": [1]}, "is not a string"),
    ],
)
def test_an_invalid_principal_is_rejected(principal: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        resource_policy(ALL | {"Principal": principal})


def test_a_resource_policy_requires_a_principal() -> None:
    with pytest.raises(PolicyError, match="exactly one of Principal and NotPrincipal is required"):
        resource_policy(ALL)
