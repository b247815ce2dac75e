"""The plan from one environment, whose templates are deployed, to another, whose templates are synthesized."""

from __future__ import annotations

import json
import runpy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment.account import Quotas
from sandpiper.errors import CliError
from sandpiper.plan import create_only
from sandpiper.plan.assembly import read_assembly
from sandpiper.plan.compare import create_plan
from sandpiper.plan.effects import DeploymentEffect
from sandpiper.plan.model import Objects, Plan, Session, StackPlan
from sandpiper.plan.render import report
from sandpiper.plan.resource_types import ROLE
from tests.support.plans import STARTED, FakeAccount, Plans, deployed
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly

PUBLIC = {"network": "PUBLIC", "reason": "pip", "owner": "analysts"}


def one_tenant(interpreters: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"tenants": {"claims": {"interpreters": interpreters, **options}}}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    return Plans(tmp_path_factory.mktemp("plans"))


def only_changed(plan: Plan) -> StackPlan:
    (changed,) = [stack for stack in plan.stacks if stack.change != "unchanged"]
    return changed


def rendered(plan: Plan) -> str:
    return "\n".join("  " * line.depth + line.text for line in report(plan))


def test_the_create_only_table_equals_the_resource_schemas_of_cfn_lint(tmp_path: Path) -> None:
    generated = tmp_path / "create_only.json"
    tool = runpy.run_path(str(PROJECT / "tools" / "create_only.py"))
    generated.write_text(tool["to_json"](tool["table"]()))
    committed = (PROJECT / "sandpiper" / "plan" / "create_only.json").read_text()
    assert generated.read_text() == committed, "to update the table: python tools/create_only.py"


def test_the_create_only_table_has_every_deployed_type(assemblies: dict[str, Assembly]) -> None:
    types = {
        one["Type"]
        for assembly in assemblies.values()
        for template in assembly.templates.values()
        for one in template.content["Resources"].values()
        if not one["Type"].startswith("Custom::")  # which have no schema
    }
    assert len(types) > 10
    unknown = {kind for kind in types if create_only.update_effect(kind, "NoSuchProperty") != "in place"}
    assert not unknown, "add its service to tools/create_only.py"


def test_an_unchanged_environment_has_no_changes(plans: Plans) -> None:
    environment = one_tenant({"sandbox": {}, "web": PUBLIC})
    plan = plans.plan(environment, environment)
    assert not plan.has_changes
    assert {stack.change for stack in plan.stacks} == {"unchanged"}
    assert "No changes: sandpiper-one-fleet, sandpiper-one-storage, sandpiper-one-claims" in rendered(plan)


def test_a_network_change_replaces_the_interpreter_and_ends_its_sessions(plans: Plans) -> None:
    account = FakeAccount(live=(Session(id="01ABC", since=STARTED),))
    plan = plans.plan(one_tenant({"run": {}, "stays": {}}), one_tenant({"run": PUBLIC, "stays": {}}), account)
    changed = only_changed(plan)
    (interpreter,) = changed.interpreters
    assert (interpreter.interpreter, interpreter.change, interpreter.network) == ("run", "replaced", "PUBLIC")
    replacing = [one for one in interpreter.because if one.effect == "replaced"]
    assert [(one.path, one.before, one.after) for one in replacing] == [
        ("NetworkConfiguration.NetworkMode", "SANDBOX", "PUBLIC")
    ]
    assert interpreter.sessions == account.live
    assert [name.partition("-")[0][:14] for name in account.listed] == ["Interpreterrun"], (
        "sessions of other interpreters are not listed"
    )
    (role,) = changed.permissions
    assert (role.holder, role.change) == ("execution role of interpreter run", "replaced")
    assert role.holder not in changed.follows
    assert not (role.gains or role.loses or role.trust_gains or role.trust_loses)
    text = rendered(plan)
    first, *_ = text.split("sandpiper-one-claims (tenant claims): changed")
    assert "! Data loss" in first
    assert "01ABC since 2026-11-21 18:03 UTC" in first
    assert "± interpreter run is replaced" in text
    assert "NetworkConfiguration.NetworkMode SANDBOX → PUBLIC" in text
    assert "Name" not in text.replace("DataBucketName", ""), "the hash in the name is a consequence, not a cause"


def test_a_readable_folder_is_a_grant_and_replaces_nothing(plans: Plans) -> None:
    plan = plans.plan(one_tenant({"run": {}}), one_tenant({"run": {"read": ("s3://shared-data/prices/",)}}))
    changed = only_changed(plan)
    assert changed.interpreters == ()
    (role,) = changed.permissions
    assert (role.change, role.loses, role.trust_gains) == ("changed", (), ())
    assert {(one.actions, one.resources) for one in role.gains} == {
        (("s3:GetObject",), ("arn:aws:s3:::shared-data/prices/*",)),
        (("s3:ListBucket",), ("arn:aws:s3:::shared-data",)),
    }
    assert (
        "is now allowed s3:GetObject on arn:aws:s3:::shared-data/prices/* if aws:ResourceAccount is 123456789012"
        in rendered(plan)
    )
    back = plans.plan(one_tenant({"run": {"read": ("s3://shared-data/prices/",)}}), one_tenant({"run": {}}))
    assert only_changed(back).permissions[0].loses == role.gains
    assert "is no longer allowed s3:GetObject on arn:aws:s3:::shared-data/prices/*" in rendered(back)


ROLES = "arn:aws:iam::123456789012:role"


def test_starters_and_readers_of_a_workflow_are_grants(plans: Plans) -> None:
    workflows = {"run-code": {"starters": (f"{ROLES}/path/orders",), "readers": (f"{ROLES}/auditor",)}}
    before = {**one_tenant({"sandbox": {}}), "data_bucket": {"key": "own"}}
    after = {**one_tenant({"sandbox": {}}, workflows=workflows), "data_bucket": {"key": "own"}}
    text = rendered(plans.plan(before, after))
    workflow = "sandpiper-one-claims-run-code"
    executions = f"arn:aws:states:us-east-1:123456789012:execution:{workflow}:*"
    assert "~ existing role orders" in text
    assert f"is now allowed states:DescribeExecution, states:StopExecution on {executions}" in text
    assert "is now allowed states:StartExecution on " in text
    assert "can now be assumed by arn:aws:iam::123456789012:role/auditor (sts:AssumeRole)" in text
    assert f"is now allowed states:DescribeExecution, states:GetExecutionHistory on {executions}" in text
    assert "kms:ViaService is states.us-east-1.amazonaws.com" in text
    removed = rendered(plans.plan(after, before))
    assert "~ existing role orders" in removed
    assert f"is no longer allowed states:DescribeExecution, states:StopExecution on {executions}" in removed


def test_a_caller_of_this_account_is_an_existing_role_with_grants(plans: Plans) -> None:
    text = rendered(plans.plan(one_tenant({"sandbox": {}}), one_tenant({"sandbox": {"callers": (f"{ROLES}/agent",)}})))
    assert "~ existing role agent" in text
    assert "bedrock-agentcore:StartCodeInterpreterSession" in text


def test_an_own_key_replaces_nothing_except_the_key(plans: Plans) -> None:
    before, after = ({**one_tenant({"sandbox": {}}), "data_bucket": {"key": key}} for key in ("aws", "own"))
    for first, second in ((before, after), (after, before)):
        plan = plans.plan(first, second)
        changes = {(one.resource, one.change) for stack in plan.stacks for one in stack.resources}
        assert not [one for one in changes if one[1] == "replaced"]
        assert {one[0] for one in changes if one[1] == "changed"} >= {"workflow RunCode", "function SessionFunction"}
        assert not [each for stack in plan.stacks for each in stack.interpreters]


def test_a_permissions_boundary_is_reported_for_every_role(plans: Plans) -> None:
    boundary = "arn:aws:iam::123456789012:policy/most"
    before = one_tenant({"run": {}})
    account = FakeAccount()
    plan = plans.plan(before, {**before, "permissions_boundary": boundary}, account)
    changed = only_changed(plan)
    assert {one.boundary.after for one in changed.permissions if one.boundary} == {boundary}
    assert {one.holder for one in changed.permissions if one.boundary} == {
        account.stacks[changed.name].template.labels[name]
        for name in account.stacks[changed.name].template.of_type(ROLE)
    }
    assert f"the permissions boundary changes from none to {boundary}" in rendered(plan)


def test_a_renamed_tenant_is_a_new_stack_and_a_removed_one(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    empty = FakeAccount(objects=Objects(total=0, older=0, older_bytes=0, is_all=True))
    plan = plans.plan({**one_tenant({"run": {}}), "termination_protection": True}, after, empty)
    by_name = {stack.name: stack for stack in plan.stacks}
    assert by_name["sandpiper-one-payments"].change == "new"
    removed = by_name["sandpiper-one-claims"]
    assert removed.change == "gone"
    assert [(one.interpreter, one.change) for one in removed.interpreters] == [("run", "deleted")]
    text = rendered(plan)
    assert "if claims was renamed, payments starts with an empty folder" in text
    assert "`aws cloudformation update-termination-protection --no-enable-termination-protection" in text
    assert "`aws cloudformation delete-stack --stack-name sandpiper-one-claims`" in text
    assert "its data stays in s3://sandpiper-one-123456789012-us-east-1/tenants/claims/" in text
    assert "objects below tenants/payments/ of bucket" in text
    assert "expire after 90 days; there are none yet" in text
    assert "tenants/claims/runs/" not in text, "the folder is empty"
    assert "termination protection is turned off" in text


def test_a_plan_that_only_keeps_stacks_of_removed_tenants_has_no_changes(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    removed = "sandpiper-one-claims"
    account = FakeAccount(live=(Session(id="01ABC", since=STARTED),))
    assembly = plans.synthesize(after)
    account.stacks = {
        **deployed(assembly),
        removed: deployed(plans.synthesize(one_tenant({"run": {}})))[removed],
    }
    plan = create_plan(assembly, account.stacks, account, Quotas())
    assert not plan.has_changes
    assert only_changed(plan).name == removed
    assert plan.effects == (DeploymentEffect.STACK_REMAINS,)
    text = rendered(plan)
    assert "! Data loss" not in text, "the deployment does not delete the stack"
    assert "no longer in the environment file, but still deployed" in text


def test_data_of_a_removed_tenant_is_reported_with_the_ways_to_delete_it(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    plan = plans.plan(one_tenant({"run": {}}), after)
    text = rendered(plan)
    assert "objects below tenants/claims/" not in text, "one line covers the whole folder"
    bucket = "s3://sandpiper-one-123456789012-us-east-1"
    assert (
        f"the data of tenant claims stays in {bucket}/tenants/claims/, and no lifecycle rule deletes it: set "
        "`data_bucket: {retention_days: {removed_tenants: {claims: DAYS}}}`, or delete it with "
        f"`aws s3 rm --recursive {bucket}/tenants/claims/`"
    ) in text
    assert "sandpiper-one-storage: the data of tenant claims" not in text, "no data is lost"
    empty = FakeAccount(objects=Objects(total=0, older=0, older_bytes=0, is_all=True))
    assert "the data of tenant claims" not in rendered(plans.plan(one_tenant({"run": {}}), after, empty))


def test_data_of_a_removed_tenant_expires_when_the_file_sets_its_retention(plans: Plans) -> None:
    before: dict[str, Any] = {"tenants": {each: {"interpreters": {"run": {}}} for each in ("claims", "motor")}}
    after: dict[str, Any] = {
        "tenants": {"motor": {"interpreters": {"run": {}}}},
        "data_bucket": {"retention_days": {"removed_tenants": {"claims": 30}}},
    }
    storage = next(each for each in plans.plan(before, after).stacks if each.name == "sandpiper-one-storage")
    retention = {each.folder: (each.before_days, each.after_days) for each in storage.data if not each.of_old_versions}
    assert retention == {
        "tenants/claims/": (90, 30),
    }
    text = rendered(plans.plan(after, {**before, "tenants": {"motor": before["tenants"]["motor"]}}))
    assert "the data of tenant claims stays in s3://sandpiper-one-123456789012-us-east-1/tenants/claims/" in text


def test_a_shorter_retention_loses_data_and_a_longer_one_does_not(plans: Plans) -> None:
    def with_retention(days: int) -> dict[str, Any]:
        return {**one_tenant({"run": {}}), "data_bucket": {"retention_days": {"runs": days}}}

    shorter = plans.plan(with_retention(90), with_retention(14))
    (change,) = only_changed(shorter).data
    assert (change.change, change.loses_data, change.folder) == ("retention shortened", True, "tenants/claims/runs/")
    assert (change.before_days, change.after_days) == (90, 14)
    assert rendered(shorter).index("! Data loss") < rendered(shorter).index("sandpiper-one-storage: changed")
    assert "expire after 14 days instead of 90 days; 2 (2,048 B) are older and expire" in rendered(shorter)

    (unseen,) = only_changed(plans.plan(with_retention(90), with_retention(14), FakeAccount(objects=None))).data
    assert unseen.loses_data, "objects that cannot be counted may exist"

    longer = plans.plan(with_retention(14), with_retention(90))
    assert [one.loses_data for one in only_changed(longer).data] == [False]
    assert "! Data loss" not in rendered(longer)


def test_the_default_retention_of_inputs_and_sandbox_is_reported_as_data_loss(plans: Plans) -> None:
    before = {**one_tenant({"run": {}}), "data_bucket": {"retention_days": {"inputs": None, "sandbox": None}}}
    text = rendered(plans.plan(before, one_tenant({"run": {}})))
    lost = "objects below tenants/claims/ of bucket sandpiper-one-123456789012-us-east-1 expire after 90 days instead"
    assert f"! sandpiper-one-storage: {lost} of never; 2 (2,048 B) are older and expire" in text
    assert "tenants/claims/runs/" not in text, "the retention of runs stays the same"


def test_versioning_of_a_bucket_without_versions_loses_nothing(plans: Plans) -> None:
    environment = one_tenant({"run": {}})
    account, assembly = FakeAccount(), plans.synthesize(environment)
    account.stacks = deployed(plans.synthesize(environment))
    storage = account.stacks["sandpiper-one-storage"].template
    buckets = (each for each in storage.content["Resources"].values() if each["Type"] == "AWS::S3::Bucket")
    (logs,) = (each for each in buckets if each["Properties"]["BucketName"].endswith("-logs"))
    del logs["Properties"]["VersioningConfiguration"]
    del logs["Properties"]["LifecycleConfiguration"]["Rules"][0]["NoncurrentVersionExpiration"]
    assert only_changed(create_plan(assembly, account.stacks, account, Quotas())).data == ()


def test_logs_of_a_removed_tenant_are_kept_until_their_events_expire(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    text = rendered(plans.plan({**one_tenant({"run": {}}), "logs": {"retention_days": 14}}, after))
    kept = "log group {} is retained: it stays in the account, but no stack manages it any longer; its events expire"
    for name in ("RunCodeLogs", "SessionFunctionLogs", "SessionStopperLogs"):
        assert f"{kept.format(name)} after 14 days" in text
    deleted = {**one_tenant({"run": {}}), "data_bucket": {"retain": False}}
    assert "! log group RunCodeLogs is deleted" in rendered(plans.plan(deleted, after))


def test_a_deleted_key_is_data_loss_and_a_retained_key_is_reported(plans: Plans) -> None:
    def keyed(key: str, retain: bool) -> dict[str, Any]:
        return {**one_tenant({"run": {}}), "data_bucket": {"key": key, "retain": retain}}

    deleted = plans.plan(keyed("own", False), keyed("aws", False))
    assert "! key DataKey is deleted: data that it encrypted can no longer be read" in rendered(deleted)
    assert "- policy of key DataKey is deleted" in rendered(deleted)
    retained = plans.plan(keyed("own", True), keyed("aws", True))
    assert "key DataKey is retained" in rendered(retained)
    assert "policy of key" not in rendered(retained)
    assert "! Data loss" not in rendered(retained)
    weaker = plans.plan(keyed("aws", True), keyed("aws", False))
    assert "will be deleted with its stack from now on" in rendered(weaker)


def test_identical_tag_changes_share_one_line(plans: Plans) -> None:
    before = one_tenant({"run": {}})
    text = rendered(plans.plan({**before, "owner": "old owner"}, {**before, "owner": "new owner"}))
    assert text.count("Tags.sandpiper:owner old owner → new owner") < 10
    assert "alarm AlarmsErrors, alarm AlarmsTimedOut, alarm AlarmsAborted" in text


def test_quotas_show_what_is_left_after_the_deployment(plans: Plans) -> None:
    before = one_tenant({"run": {}})
    after = one_tenant({"run": {}}, session_function={"reserved_concurrency": 40})
    plan = plans.plan(before, after, live_sessions=100, functions_at_once=150, interpreters=1)
    account = {one.quota: (one.used, one.limit) for one in plan.quotas if one.stack is None}
    assert account == {"interpreters": (1, 1), "live sessions": (40, 100), "functions at once": (40, 50)}
    assert "live sessions: 40 of 100, 60 left (reserved, one session per run)" in rendered(plan)
    exceeded = plans.plan(before, after, live_sessions=39)
    assert "live sessions: 40 of 39, 1 too many (reserved, one session per run)" in rendered(exceeded)
    assert "ReservedConcurrentExecutions not set → 40" in rendered(plan)
    stacks = {one.stack for one in plan.quotas if one.quota == "template bytes"}
    assert stacks == {"sandpiper-one-claims", "sandpiper-one-fleet", "sandpiper-one-storage"}


def test_functions_without_reserved_concurrency_can_use_what_is_left(plans: Plans) -> None:
    def live_sessions(*reserved: int | None, **quotas: int) -> str:
        tenants: dict[str, Any] = {
            f"t{number}": {
                "interpreters": {"run": {}},
                "session_function": {"reserved_concurrency": each},
            }
            for number, each in enumerate(reserved)
        }
        text = rendered(plans.plan({"tenants": tenants}, {"tenants": tenants}, None, **quotas))
        (line,) = [line.strip() for line in text.splitlines() if "live sessions" in line]
        return line

    assert live_sessions(None) == (
        "live sessions: 0 of 1,000, 1,000 left (reserved, one session per run; "
        "1 function without reserved concurrency can use up to 1,000 more)"
    )
    assert live_sessions(40, None, None) == (
        "live sessions: 40 of 1,000, 960 left (reserved, one session per run; "
        "2 functions without reserved concurrency can use up to 960 more)"
    )
    assert live_sessions(40, None, live_sessions=100, functions_at_once=150) == (
        "live sessions: 40 of 100, 60 left (reserved, one session per run; "
        "1 function without reserved concurrency can use up to 110 more, of which AgentCore rejects those over 60)"
    )


def test_a_missing_or_old_bootstrap_is_reported_with_the_command_to_run(plans: Plans) -> None:
    environment = one_tenant({"run": {}})
    account, assembly = FakeAccount(), plans.synthesize(environment)
    account.stacks = deployed(assembly)
    assert create_plan(assembly, account.stacks, account, Quotas()).notes == ()
    account.bootstrap = None
    missing = create_plan(assembly, account.stacks, account, Quotas())
    bootstrap = "`cdk bootstrap aws://123456789012/us-east-1`"
    assert missing.notes == (
        f"123456789012/us-east-1 is not bootstrapped, so nothing can be deployed: run {bootstrap}",
    )
    assert rendered(missing).splitlines()[1].strip() == missing.notes[0]
    account.bootstrap = 2
    assert create_plan(assembly, account.stacks, account, Quotas(), ["careful"]).notes == (
        "careful",
        f"the bootstrap stack of 123456789012/us-east-1 has version 2, but version 6 is required: run {bootstrap}",
    )


def test_a_bucket_that_exists_already_is_reported_before_the_deployment_fails(plans: Plans) -> None:
    assembly = plans.synthesize(one_tenant({"run": {}}))
    existing = FakeAccount(buckets=("sandpiper-one-123456789012-us-east-1",))
    (storage,) = [
        one for one in create_plan(assembly, {}, existing, Quotas()).stacks if one.name == "sandpiper-one-storage"
    ]
    (note,) = storage.notes
    assert note.startswith("bucket sandpiper-one-123456789012-us-east-1 exists already, so the deployment will fail")
    assert not [one.notes for one in create_plan(assembly, {}, FakeAccount(), Quotas()).stacks if one.notes]


def test_a_stack_whose_creation_failed_is_created_again(plans: Plans) -> None:
    assembly, account = plans.synthesize(one_tenant({"run": {}})), FakeAccount()
    stacks = deployed(assembly)
    name = "sandpiper-one-storage"
    stacks[name] = replace(stacks[name], status="ROLLBACK_COMPLETE")
    plan = create_plan(assembly, stacks, account, Quotas())
    changed = only_changed(plan)
    assert (changed.name, changed.change, plan.has_changes) == (name, "new", True)
    assert changed.notes == (
        "its creation failed (ROLLBACK_COMPLETE): `cdk deploy` deletes its remains and creates it again",
    )


def test_a_change_of_the_default_interpreter_is_reported(plans: Plans) -> None:
    before, after = one_tenant({"run": {}}), one_tenant({"tools": {}, "run": {}})
    assert (
        "requests without an interpreter run in tools instead of run, because tools is the first in the file"
        in rendered(plans.plan(before, after))
    )
    assert "requests without an interpreter" not in rendered(plans.plan(before, one_tenant({"run": {}, "tools": {}})))


def test_the_json_can_be_parsed_into_the_same_plan(plans: Plans) -> None:
    plan = plans.plan(one_tenant({"run": {}}), one_tenant({"run": PUBLIC}))
    printed = json.loads(json.dumps(plan.to_json()))
    assert printed.pop("hasChanges") is True
    assert Plan.model_validate(printed) == plan
    assert list(printed) == ["environment", "account", "region", "notes", "stacks", "quotas"]
    assert list(printed["stacks"][0]) == [
        *("name", "tenant", "change", "notes", "data", "interpreters", "permissions", "resources", "follows"),
        "effects",
    ]


def test_non_ascii_characters_that_cloudformation_replaces_are_not_a_change(plans: Plans) -> None:
    environment = one_tenant({"run": {**PUBLIC, "reason": "Schätzung"}})
    account = FakeAccount()
    account.stacks = deployed(plans.synthesize(environment))
    for stack in account.stacks.values():
        text = json.dumps(stack.template.content, ensure_ascii=False)
        object.__setattr__(stack.template, "content", json.loads(text.replace("ä", "?")))
    assert not create_plan(plans.synthesize(environment), account.stacks, account, Quotas()).has_changes


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "manifest.json: No such file"),
        ({"manifest.json": "no"}, "manifest.json is not JSON"),
        ({"manifest.json": "{}"}, "manifest.json has no artifacts"),
        ({"manifest.json": '{"artifacts": {}}'}, "it has no stack"),
        (
            {"manifest.json": '{"artifacts": {"other": {"type": "aws:cloudformation:stack"}}}'},
            "stack other does not belong to a Sandpiper environment",
        ),
    ],
)
def test_an_invalid_assembly_is_rejected_with_its_folder_and_the_remedy(
    tmp_path: Path, files: dict[str, str], problem: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CliError) as raised:
        read_assembly(tmp_path)
    message = str(raised.value)
    assert problem in message
    assert str(tmp_path) in message
    assert "create one with `cdk synth" in message
