"""Approvals: what counts as a new grant, its example, the file, and the exit codes of the command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandpiper.errors import CliError
from sandpiper.review.baseline.compare import Changes, compare
from sandpiper.review.baseline.entries import entries_of
from sandpiper.review.baseline.file import approve, read_baseline, to_text
from tests.review.rule_cases import FAILING, OWN, drop, put
from tests.support.cli import sandpiper
from tests.support.review_templates import FOLDER, allow, model_of, review_of, role, secure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.review_templates import Template

MANAGED = "arn:aws:iam::aws:policy/AdministratorAccess"
BUCKET_POLICY = "BucketPolicy.Properties.PolicyDocument.Statement"
DELETES = allow("s3:DeleteObject", FOLDER)


def changes_after(*changes: Callable[[Template], None]) -> Changes:
    """Returns the changes since the approval of the template without findings."""
    baseline = approve(review_of(secure()), "Ada")
    template = secure()
    for change in changes:
        change(template)
    return compare(model_of(template), baseline)


def open_bucket(template: Template) -> None:
    """Adds a statement that allows everyone to read; the policy denies that to all but two roles."""
    policy = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]
    policy["Statement"].append(allow("s3:GetObject", FOLDER, Principal="*"))


def test_an_unchanged_template_is_approved() -> None:
    changes = changes_after()
    assert changes.are_approved
    assert not (changes.granted or changes.loosened or changes.revoked or changes.tightened)


@pytest.mark.parametrize(
    ("change", "sentence", "example"),
    [
        (put(f"{OWN}.0", DELETES), "app/ExecutionRole is allowed s3:DeleteObject on", "s3:DeleteObject on"),
        (
            put("Function.Properties.Role", {"Fn::GetAtt": ["ExecutionRole", "Arn"]}),
            "app/Function has the permissions of app/ExecutionRole",
            "",
        ),
        (
            put("ExecutionRole.Properties.ManagedPolicyArns", [MANAGED]),
            f"app/ExecutionRole has the managed policy {MANAGED}",
            "",
        ),
        (
            put("Interpreter.Properties.NetworkConfiguration", {"NetworkMode": "PUBLIC"}),
            "app/Interpreter runs code in the network PUBLIC",
            "",
        ),
        (
            put("Admin", role("ec2", allow("*", "*"))),
            "app/Admin is allowed * on *",
            "app/Admin: states:StartExecution on *",
        ),
        (
            open_bucket,
            "app/Bucket has a policy that allows anyone s3:GetObject on",
            "app/ExecutionRole: s3:GetObject on",
        ),
        (
            put("Reader", role("ec2", allow("s3:GetObject", FOLDER))),
            "app/Reader is allowed s3:GetObject on",
            "no request that it allows was found: denied by statement",
        ),
        (
            put("Open", {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "open"}}),
            "",
            "",
        ),
    ],
    ids=["action", "program", "managed policy", "network", "everything", "everyone", "denied", "no grant"],
)
def test_a_new_grant_is_one_sentence_with_an_example(
    change: Callable[[Template], None], sentence: str, example: str
) -> None:
    changes = changes_after(change)
    shown = [(one.entry.sentence, one.example) for one in changes.granted]
    assert changes.are_approved is (sentence == "")
    if sentence:
        assert any(text.startswith(sentence) and example in found for text, found in shown), shown


def test_a_removed_limit_is_not_approved_unless_its_resource_is_gone() -> None:
    changes = changes_after(drop(f"{BUCKET_POLICY}.1"))
    assert [one.sentence[:50] for one in changes.loosened] == ["app/Bucket has a policy that denies anyone s3:* on"]
    assert not changes.are_approved
    assert not changes_after(drop("ExecutionRole.Properties.PermissionsBoundary")).are_approved
    assert changes_after(drop("BucketPolicy"), drop("Bucket")).loosened == ()


def test_removed_grants_and_new_limits_are_approved() -> None:
    changes = changes_after(drop(f"{OWN}.0"), drop("Permission"))
    assert changes.are_approved
    assert len(changes.revoked) == 2
    denied = {**DELETES, "Effect": "Deny"}
    assert changes_after(put(f"{OWN}.0", denied)).are_approved


def test_the_order_of_statements_and_actions_does_not_matter() -> None:
    def reorder(template: Template) -> None:
        policy = template["Resources"]["ExecutionRole"]["Properties"]["Policies"][0]["PolicyDocument"]
        policy["Statement"].reverse()
        for statement in policy["Statement"]:
            if isinstance(statement["Action"], list):
                statement["Action"].reverse()

    assert changes_after(reorder).are_approved


def test_an_example_satisfies_conditions_that_need_a_search() -> None:
    condition = {"NumericGreaterThan": {"s3:max-keys": "10"}, "StringNotEquals": {"s3:prefix": "x"}}
    template = put("Admin", role("ec2", allow("s3:ListBucket", "arn:aws:s3:::b", Condition=condition)))
    example = next(one.example for one in changes_after(template).granted if "s3:ListBucket" in one.entry.sentence)
    assert example.startswith("app/Admin: s3:ListBucket on arn:aws:s3:::b with s3:max-keys = ")


def test_the_example_of_a_changed_statement_is_about_its_new_resource() -> None:
    resources = [FOLDER, "arn:aws:s3:::other/hr/*"]
    (one,) = changes_after(put(f"{OWN}.0.Resource", resources)).granted
    assert one.example.startswith("app/ExecutionRole: s3:GetObject on arn:aws:s3:::other/hr/example")


def test_the_file_has_one_grant_a_line_and_is_read_as_written(tmp_path: Path) -> None:
    baseline = approve(review_of(secure()), "Ada")
    text = to_text(baseline)
    assert text == to_text(approve(review_of(secure()), "Ada"))
    file = tmp_path / "app.review.json"
    file.write_text(text)
    assert read_baseline(file).entries == {
        key: type(one)(one.key, one.holder, one.sentence, one.is_grant) for key, one in baseline.entries.items()
    }
    assert sum('"key"' in line for line in text.splitlines()) == len(baseline.entries) + len(baseline.findings)
    with_change = secure()
    put("Admin", role("ec2", allow("s3:GetObject", "arn:aws:s3:::b/*")))(with_change)
    changed = to_text(approve(review_of(with_change), "Ada")).splitlines()
    assert len(set(changed) - set(text.splitlines())) == 3  # trust, permission and boundary, and no other line


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "is not an approval of version 1"),
        ('{"version": 2}', "is not an approval of version 1"),
        ('{"version": 1, "approvedOn": "soon"}', "has no date in approvedOn"),
        ('{"version": 1, "approvedOn": "2026-01-01", "grants": {}}', "has no list grants"),
        ('{"version": 1, "approvedOn": "2026-01-01", "grants": [{"key": 1}]}', "item 1 of grants does not have"),
        ("{", "is not JSON"),
        (b"\xff", "is not UTF-8"),
    ],
)
def test_a_broken_file_is_one_message(tmp_path: Path, content: str | bytes, problem: str) -> None:
    file = tmp_path / "app.review.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CliError, match=problem):
        read_baseline(file)


def test_the_command_approves_compares_and_fails(tmp_path: Path) -> None:
    template, baseline = tmp_path / "app.json", tmp_path / "app.review.json"
    template.write_text(json.dumps(secure()))
    approved = sandpiper("review", template, "--approve", "--by", "Ada", "--baseline", baseline)
    assert (approved.returncode, baseline.exists()) == (0, True)
    same = sandpiper("review", template, "--baseline", baseline)
    assert same.returncode == 0
    assert "everything that is allowed is approved" in same.stdout
    content = secure()
    put(f"{OWN}.0", DELETES)(content)
    template.write_text(json.dumps(content))
    changed = sandpiper("review", template, "--baseline", baseline, "--fail-on", "never", "--out", tmp_path / "a.md")
    assert changed.returncode == 2
    assert "new: app/ExecutionRole is allowed s3:DeleteObject on" in changed.stdout
    assert "example: app/ExecutionRole: s3:DeleteObject on" in changed.stdout


def test_the_command_approves_nothing_without_a_name_a_file_or_with_open_findings(tmp_path: Path) -> None:
    content = secure()
    FAILING["trust-everyone"][0](content)
    template, baseline = tmp_path / "app.json", tmp_path / "app.review.json"
    template.write_text(json.dumps(content))
    cases = {
        ("--approve", "--baseline", baseline): (1, "--approve needs --by NAME"),
        ("--approve", "--by", "Ada"): (1, "--approve needs --baseline FILE"),
        ("--by", "Ada"): (1, "--by is only for --approve"),
        ("--approve", "--by", "Ada", "--baseline", baseline): (2, "not approved: a finding is high or worse"),
        ("--baseline", baseline): (1, "does not exist"),
    }
    for options, (code, message) in cases.items():
        completed = sandpiper("review", template, *options)
        assert (completed.returncode, baseline.exists()) == (code, False), options
        assert message in completed.stderr


def test_a_replaced_interpreter_is_a_change_of_its_network_only() -> None:
    def hashed(digest: str, suffix: str, **more: str) -> Callable[[Template], None]:
        """Returns a change to names with a hash, as those of Sandpiper's constructs have it."""

        def change(template: Template) -> None:
            text = json.dumps(template["Resources"]).replace('"ExecutionRole"', f'"ExecutionRole{digest}{suffix}"')
            template["Resources"] = json.loads(text.replace('"Name": "claims"', f'"Name": "claims_{digest}"')) | {
                id_: role("ec2", allow("s3:GetObject", "arn:aws:s3:::b/*")) for id_ in more
            }

        return change

    before, after, public = secure(), secure(), "Interpreter.Properties.NetworkConfiguration"
    hashed("0a1b2c3d", "AAAA1111")(before)
    hashed("4e5f6071", "BBBB2222")(after)
    put(public, {"NetworkMode": "PUBLIC"})(after)
    changes = compare(model_of(after), approve(review_of(before), "Ada"))
    assert [one.entry.sentence for one in changes.granted] == ["app/Interpreter runs code in the network PUBLIC"]
    # Two roles whose IDs differ only in the hashes are not taken for each other.
    both = secure()
    hashed("0a1b2c3d", "AAAA1111", ExecutionRole0a1b2c3dCCCC3333="")(both)
    holders = {one.holder for one in entries_of(model_of(both)).values() if "ExecutionRole" in one.holder}
    assert holders == {"app/ExecutionRoleHASHAAAA1111", "app/ExecutionRoleHASHCCCC3333"}
