"""Hostile and broken templates end in a finding or in a clear error, never in a traceback."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.file import approve
from sandpiper.review.formats import FORMATS
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.limits import MAX_DEPTH, MAX_TEMPLATE_BYTES
from sandpiper.review.reading.values import as_mapping
from sandpiper.review.report import Report
from sandpiper.review.review import Target, review
from tests.support.review_templates import allow, document, findings_of, review_of, role, secure

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "AWS::IAM::Role"
CPU_SECONDS = 20
"""The stated time. It is CPU time of this process, so that other processes of the machine do not count."""

BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "t.json: is empty"),
    "text": (b"just text", "is not a mapping"),
    "list": (b"[]", "is not a mapping"),
    "binary": (b"\xff\xfe\x00", "is not UTF-8 at byte 0"),
    "no resources": (b"{}", "is not a CloudFormation template: it has no Resources"),
    "resources of text": (b'{"Resources": "x"}', "it has no Resources"),
    "a cut file": (b'{"Resources": {"A": {"Type"', "is not JSON"),
    "a key twice": (b'{"Resources": {"A": {"Type": "x", "Type": "y"}}}', "has the key 'Type' twice"),
    "deep JSON": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is not JSON"),
    "levels": (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), f"more than {MAX_DEPTH} levels"),
    "10 MB": (b'{"Resources": {"A": "' + b"x" * 10_000_000 + b'"}}', f"larger than {MAX_TEMPLATE_BYTES:,} bytes"),
    "values": (b'{"a": [' + b"1," * 200_000 + b"1]}", "more than 150,000 values"),
    "a huge number": (b'{"a": ' + b"9" * 10_000 + b"}", "is not JSON"),
    "an unknown tag": (b"Resources:\n  A: !!python/object/apply:os.system [ls]\n", "t.json:2: has the unknown tag"),
    "an unknown short form": (b"Resources:\n  A: !Exec ls\n", "t.json:2: has the unknown tag !Exec"),
    "a key twice in YAML": (b"Resources:\n  A: 1\n  A: 2\n", "t.json:3: has the key 'A' twice"),
    "an unclosed bracket": (b"Resources: [\n", "is not YAML"),
    "a value in itself": (b"a: &a [*a]\n", "has the alias *a inside the value that it stands for"),
    "a bomb": (
        b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + b"".join(b"%c: &%c [%b]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 10)) for c in range(ord("b"), ord("k"))),
        "is beyond the first 150,000 keys and values",
    ),
    "a key of a list": (b"? [a, b]\n: 1\n", "has a key that is not text"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_clear_error(name: str, tmp_path: Path) -> None:
    content, expected = BROKEN[name]
    file = tmp_path / "t.json"
    file.write_bytes(content)
    start = time.process_time()
    with pytest.raises(TemplateError) as error:
        review([Target(file, "t.json")])
    assert expected in str(error.value)
    assert len(str(error.value)) < 500
    assert time.process_time() - start < CPU_SECONDS


def test_a_folder_and_a_missing_file_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="does not exist"):
        review([Target(tmp_path / "missing.json", "missing.json")])
    with pytest.raises(TemplateError, match="is not a regular file"):
        review([Target(tmp_path, "folder")])


def test_a_manifest_cannot_name_files_outside_of_the_assembly(tmp_path: Path) -> None:
    stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "../../etc/passwd"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"app": stack}}))
    with pytest.raises(TemplateError, match="names a file outside of the assembly"):
        review([Target(tmp_path, "cdk.out")])


VALUES: list[Any] = [
    *(
        None,
        True,
        7,
        1.5,
        "",
        "text",
        [],
        {},
        [[]],
        [None],
        {"Ref": []},
        {"Ref": {"Ref": "A"}},
        {"Ref": "AWS::NoValue"},
    ),
    *({"Fn::GetAtt": "A"}, {"Fn::GetAtt": ["A"]}, {"Fn::GetAtt": 7}, {"Fn::Join": "x"}, {"Fn::Join": [",", 7]}),
    *({"Fn::Sub": ["${a}", 7]}, {"Fn::Sub": []}, {"Fn::Select": [9, ["a"]]}, {"Fn::Select": ["x", "y"]}),
    *({"Fn::Split": [7, 7]}, {"Fn::If": ["A"]}, {"Fn::If": [{}, 1, 2]}, {"Fn::FindInMap": [1]}, {"Fn::Nothing": 1}),
    *({"Fn::ImportValue": {"Fn::Sub": "${A}"}}, "{{resolve:ssm:a}}", "{{resolve:x:y:z}}", "${A", "⟨ssm/x⟩"),
]


def _replace_one(value: Any, generator: random.Random) -> Any:
    """Replaces one value inside a value by a value of another type. Returns the changed value."""
    container: Any = value
    steps: list[Any] = list(range(len(container))) if isinstance(value, list) else list(as_mapping(container))
    if generator.random() < 0.15 or not steps:
        return deepcopy(generator.choice(VALUES))
    step = generator.choice(steps)
    container[step] = _replace_one(container[step], generator)
    return container


@pytest.mark.parametrize("seed", range(60))
def test_a_value_of_another_type_is_never_a_traceback(seed: int) -> None:
    generator = random.Random(seed)
    template = secure()
    for _ in range(4):
        name = generator.choice(list(template["Resources"]))
        replaced = _replace_one(template["Resources"][name], generator)
        template["Resources"][name] = replaced if isinstance(replaced, dict) else {"Type": "x", "Properties": replaced}
    review = review_of(template)
    report = Report(review, changes=compare(review.model, approve(review, "Ada")))
    for writer in FORMATS.values():
        assert writer(report)


def test_ten_thousand_statements_are_reviewed_in_the_stated_time() -> None:
    statements = [allow("s3:GetObject", f"arn:aws:s3:::data-{number}/*") for number in range(10_000)]
    template = secure()
    template["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"] = statements
    start = time.process_time()
    found = review_of(template)
    assert time.process_time() - start < CPU_SECONDS
    assert sum(one.rule_id == "role-s3-prefix" for one in found.findings) == 10_000


def test_hundred_wildcards_are_matched_in_the_stated_time() -> None:
    template = secure()
    pattern = "*a" * 100
    template["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"] = document(
        allow(f"s3:{pattern}", f"arn:aws:s3:::{pattern}/{pattern}"),
        {"Effect": "Deny", "Action": f"s3:{pattern}b", "Resource": f"arn:aws:s3:::{pattern}b"},
    )
    start = time.process_time()
    found = review_of(template)
    assert time.process_time() - start < CPU_SECONDS
    assert {one.rule_id for one in found.findings} >= {"role-actions", "role-resources"}


def test_names_that_contain_each_other_cannot_exhaust_the_memory() -> None:
    template = secure()
    for number in range(40):
        value = f"{{{{resolve:ssm:/p{number + 1}}}}}" * 2 if number < 39 else "x" * 1000
        template["Resources"][f"P{number}"] = {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": f"/p{number}", "Value": value, "Type": "String"},
        }
    template["Resources"]["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"].append(
        allow("s3:GetObject", "arn:aws:s3:::a/{{resolve:ssm:/p0}}")
    )
    review_of(template)


def test_conditions_and_parameters_that_contain_themselves_are_unresolved() -> None:
    template = secure()
    template["Conditions"] = {"A": {"Condition": "B"}, "B": {"Condition": "A"}}
    template["Resources"]["Loop"] = {"Type": ROLE, "Condition": "A", "Properties": {"RoleName": {"Ref": "Loop"}}}
    assert review_of(template).findings == ()


@pytest.mark.parametrize("count", [1, 4, 12])
def test_values_that_depend_on_many_conditions_are_bounded(count: int) -> None:
    template = secure()
    template["Conditions"] = {f"C{number}": {"Fn::Equals": [{"Ref": "P"}, "x"]} for number in range(count)}
    resource: Any = "arn:aws:s3:::data/a/*"
    for number in range(count):
        resource = {"Fn::If": [f"C{number}", resource, "*"]}
    statements = template["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements.append(allow("s3:GetObject", resource))
    assert findings_of(template, "role-resources" if count <= 4 else "template-unresolved")


def test_text_of_a_template_is_escaped_in_reports() -> None:
    template = secure()
    template["Description"] = "<script>alert(1)</script>"
    hostile = "<script>alert(1)</script>[x](javascript:1)\n# title\u202e\x1b[31m"
    template["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Sid"] = (
        hostile
    )
    template["Resources"]["ExecutionRole"]["Properties"]["ManagedPolicyArns"] = [hostile]
    text = FORMATS["md"](Report(review_of(template)))
    assert "<script>" not in text
    assert "](javascript" not in text
    assert "\n# title" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert json.loads(FORMATS["json"](Report(review_of(template))))["counts"]["high"] == 1


def test_administrators_beyond_the_grants_that_a_review_can_hold_are_findings() -> None:
    administrator = role("lambda", allow("*", "*"))
    template = {"Resources": {f"Role{number}": administrator for number in range(480)}}
    start = time.process_time()
    found = review_of(template)
    assert time.process_time() - start < CPU_SECONDS
    assert found.model.policies.graph.left_out
    by_rule = Counter(one.rule_id for one in found.open_findings)
    assert by_rule["template-grants"] == 1
    assert len({one.resource for one in found.open_findings if one.rule_id == "escalation-policies"}) == 480
