"""What a plan says of two environments: the templates of one deployed, those of the other synthesised."""

from __future__ import annotations

import datetime
import json
import runpy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment.model import Quotas
from sandpiper.errors import CliError
from sandpiper.plan import create_only
from sandpiper.plan.assembly import open_assembly
from sandpiper.plan.compare import make
from sandpiper.plan.deployed import DeployedStack
from sandpiper.plan.model import Objects, Plan, Session, StackPlan
from sandpiper.plan.render import report
from sandpiper.plan.template import ROLE
from tests.templates.conftest import ROOT, synthesise

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.plan.assembly import Assembly as Synthesised
    from tests.templates.conftest import Assembly

BEGUN = datetime.datetime(2026, 11, 21, 18, 3, tzinfo=datetime.UTC)
PUBLIC = {"network": "PUBLIC", "reason": "pip", "owner": "analysts"}


def one_tenant(interpreters: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"tenants": {"claims": {"interpreters": interpreters, **options}}}


@dataclass
class Observed:
    """An account in which sessions are live, and folders hold objects."""

    live: tuple[Session, ...] = ()
    objects: Objects | None = field(default_factory=lambda: Objects(total=5, older=2, older_bytes=2048, is_all=True))
    asked: list[str] = field(default_factory=list[str])
    bootstrap: int | None = 30
    buckets: tuple[str, ...] = ()

    def physical_ids(self, stack: str) -> dict[str, str]:
        return {name: f"{name}-id" for name in self.stacks[stack].template.resources}

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        self.asked.append(interpreter)
        return self.live

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:  # noqa: ARG002 - the interface
        return self.objects

    def has_bucket(self, name: str) -> bool:
        return name in self.buckets

    def bootstrap_version(self, parameter: str) -> int | None:
        assert parameter == "/cdk-bootstrap/hnb659fds/version"
        return self.bootstrap

    stacks: dict[str, DeployedStack] = field(default_factory=dict[str, DeployedStack])


@dataclass
class Plans:
    """Synthesises each environment once, into a folder of its own, and plans from one to another."""

    folder: Path
    made: dict[str, Path] = field(default_factory=dict[str, "Path"])

    def synthesise(self, options: dict[str, Any]) -> Synthesised:
        text = json.dumps(options)
        if text not in self.made:
            self.made[text] = self.folder / str(len(self.made))
            synthesise(self.made[text], {"termination_protection": False, **options})
        return open_assembly(self.made[text])

    def plan(
        self, before: dict[str, Any], after: dict[str, Any], observed: Observed | None = None, **quotas: int
    ) -> Plan:
        seen = observed or Observed()
        seen.stacks = deployed(self.synthesise(before))
        return make(self.synthesise(after), seen.stacks, seen, Quotas(**quotas))


def deployed(assembly: Synthesised) -> dict[str, DeployedStack]:
    return {
        name: DeployedStack(
            name=name,
            status="CREATE_COMPLETE",
            is_protected=one.is_protected,
            changed=BEGUN,
            parameters={},
            outputs={},
            tags={},
            template=one.template,
        )
        for name, one in assembly.stacks.items()
    }


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    return Plans(tmp_path_factory.mktemp("plans"))


def only_changed(plan: Plan) -> StackPlan:
    (changed,) = [stack for stack in plan.stacks if stack.change != "unchanged"]
    return changed


def said(plan: Plan) -> str:
    return "\n".join("  " * line.depth + line.text for line in report(plan))


def test_the_table_of_create_only_properties_is_what_cloudformation_says(tmp_path: Path) -> None:
    made = tmp_path / "create_only.json"
    table = runpy.run_path(str(ROOT / "tools" / "create_only.py"))["table"]()
    made.write_text(json.dumps(table, indent=1) + "\n")
    kept = (ROOT / "sandpiper" / "plan" / "create_only.json").read_text()
    assert made.read_text() == kept, "if this is meant: python tools/create_only.py"


def test_every_type_that_is_deployed_is_in_the_table(assemblies: dict[str, Assembly]) -> None:
    types = {
        one["Type"]
        for assembly in assemblies.values()
        for template in assembly.templates.values()
        for one in template.content["Resources"].values()
        if not one["Type"].startswith("Custom::")  # of which no schema tells
    }
    assert len(types) > 10
    unknown = {kind for kind in types if create_only.effect(kind, "NoSuchProperty") != "in place"}
    assert not unknown, "add its service to tools/create_only.py"


def test_what_is_deployed_needs_nothing(plans: Plans) -> None:
    environment = one_tenant({"sandbox": {}, "web": PUBLIC})
    plan = plans.plan(environment, environment)
    assert not plan.has_changes
    assert {stack.change for stack in plan.stacks} == {"unchanged"}
    assert "nothing to do: sandpiper-one-fleet, sandpiper-one-storage, sandpiper-one-claims" in said(plan)


def test_a_network_that_changes_replaces_the_interpreter_and_ends_its_sessions(plans: Plans) -> None:
    observed = Observed(live=(Session(id="01ABC", since=BEGUN),))
    plan = plans.plan(one_tenant({"run": {}, "stays": {}}), one_tenant({"run": PUBLIC, "stays": {}}), observed)
    changed = only_changed(plan)
    (interpreter,) = changed.interpreters
    assert (interpreter.interpreter, interpreter.change, interpreter.network) == ("run", "replaced", "PUBLIC")
    replacing = [one for one in interpreter.because if one.effect == "replaced"]
    assert [(one.path, one.before, one.after) for one in replacing] == [
        ("NetworkConfiguration.NetworkMode", "SANDBOX", "PUBLIC")
    ]
    assert interpreter.sessions == observed.live
    assert [name.partition("-")[0][:14] for name in observed.asked] == ["Interpreterrun"], "and of no other"
    (role,) = changed.permissions
    assert (role.holder, role.change) == ("execution role of interpreter run", "replaced")
    assert role.holder not in changed.follows
    assert not (role.gains or role.loses or role.trust_gains or role.trust_loses)
    words = said(plan)
    first, *_ = words.split("sandpiper-one-claims (tenant claims): changed")
    assert "! loses data" in first
    assert "01ABC since 2026-11-21 18:03 UTC" in first
    assert "± interpreter run is replaced" in words
    assert "NetworkConfiguration.NetworkMode SANDBOX → PUBLIC" in words
    assert "Name" not in words.replace("DataBucketName", ""), "a hash is a consequence"


def test_a_folder_to_read_is_a_grant_and_replaces_nothing(plans: Plans) -> None:
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
        "may now s3:GetObject on arn:aws:s3:::shared-data/prices/* where aws:ResourceAccount is 123456789012"
        in said(plan)
    )
    back = plans.plan(one_tenant({"run": {"read": ("s3://shared-data/prices/",)}}), one_tenant({"run": {}}))
    assert only_changed(back).permissions[0].loses == role.gains
    assert "may no longer s3:GetObject on arn:aws:s3:::shared-data/prices/*" in said(back)


def test_a_boundary_is_told_of_every_role(plans: Plans) -> None:
    boundary = "arn:aws:iam::123456789012:policy/most"
    before = one_tenant({"run": {}})
    observed = Observed()
    plan = plans.plan(before, {**before, "permissions_boundary": boundary}, observed)
    changed = only_changed(plan)
    assert {one.boundary.after for one in changed.permissions if one.boundary} == {boundary}
    assert {one.holder for one in changed.permissions if one.boundary} == {
        observed.stacks[changed.name].template.labels[name]
        for name in observed.stacks[changed.name].template.of_type(ROLE)
    }
    assert f"is bounded by {boundary} instead of no boundary" in said(plan)


def test_a_tenant_that_is_renamed_is_a_new_stack_and_a_gone_one(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    nobody = Observed(objects=Objects(total=0, older=0, older_bytes=0, is_all=True))
    plan = plans.plan({**one_tenant({"run": {}}), "termination_protection": True}, after, nobody)
    by_name = {stack.name: stack for stack in plan.stacks}
    assert by_name["sandpiper-one-payments"].change == "new"
    gone = by_name["sandpiper-one-claims"]
    assert gone.change == "gone"
    assert [(one.interpreter, one.change) for one in gone.interpreters] == [("run", "deleted")]
    words = said(plan)
    assert "if claims was renamed, payments starts with an empty folder" in words
    assert "`aws cloudformation update-termination-protection --no-enable-termination-protection" in words
    assert "`aws cloudformation delete-stack --stack-name sandpiper-one-claims`" in words
    assert "its data stays in s3://sandpiper-one-123456789012-us-east-1/tenants/claims/" in words
    assert "objects below tenants/payments/runs/ of bucket" in words
    assert "live 90 days: there are none yet" in words
    assert "tenants/claims/runs/" not in words, "nothing is there"
    assert "termination protection is switched off" in words


def test_what_a_removed_tenant_left_is_told_and_how_it_ends(plans: Plans) -> None:
    after: dict[str, Any] = {"tenants": {"payments": {"interpreters": {"run": {}}}}}
    plan = plans.plan(one_tenant({"run": {}}), after)
    words = said(plan)
    assert "objects below tenants/claims/" not in words, "all of it is one line"
    bucket = "s3://sandpiper-one-123456789012-us-east-1"
    assert (
        f"the data of tenant claims stays in {bucket}/tenants/claims/, and no rule ends it: say how long in "
        "`data_bucket: {retention_days: {removed_tenants: {claims: DAYS}}}`, or delete it with "
        f"`aws s3 rm --recursive {bucket}/tenants/claims/`"
    ) in words
    assert "sandpiper-one-storage: the data of tenant claims" not in words, "nothing of it is lost"
    empty = Observed(objects=Objects(total=0, older=0, older_bytes=0, is_all=True))
    assert "the data of tenant claims" not in said(plans.plan(one_tenant({"run": {}}), after, empty))


def test_what_a_removed_tenant_left_has_an_end_where_the_file_says_so(plans: Plans) -> None:
    before: dict[str, Any] = {"tenants": {each: {"interpreters": {"run": {}}} for each in ("claims", "motor")}}
    after: dict[str, Any] = {
        "tenants": {"motor": {"interpreters": {"run": {}}}},
        "data_bucket": {"retention_days": {"removed_tenants": {"claims": 30}}},
    }
    storage = next(each for each in plans.plan(before, after).stacks if each.name == "sandpiper-one-storage")
    told = {each.folder: (each.before_days, each.after_days) for each in storage.data if not each.of_old_versions}
    assert told == {
        "tenants/claims/": (None, 30),
        "tenants/claims/runs/": (90, 30),
        "tenants/claims/sandbox/run/staging/": (1, 30),
    }
    words = said(plans.plan(after, {**before, "tenants": {"motor": before["tenants"]["motor"]}}))
    assert "the data of tenant claims stays in s3://sandpiper-one-123456789012-us-east-1/tenants/claims/" in words


def test_a_shorter_retention_loses_data_and_a_longer_one_does_not(plans: Plans) -> None:
    def kept(days: int) -> dict[str, Any]:
        return {**one_tenant({"run": {}}), "data_bucket": {"retention_days": {"runs": days}}}

    shorter = plans.plan(kept(90), kept(14))
    (change,) = only_changed(shorter).data
    assert (change.change, change.loses_data, change.folder) == ("retention shortened", True, "tenants/claims/runs/")
    assert (change.before_days, change.after_days) == (90, 14)
    assert said(shorter).index("! loses data") < said(shorter).index("sandpiper-one-storage: changed")
    assert "live 14 days instead of 90 days; 2 are older (2,048 B) and expire" in said(shorter)

    (unseen,) = only_changed(plans.plan(kept(90), kept(14), Observed(objects=None))).data
    assert unseen.loses_data, "what cannot be counted may be there"

    longer = plans.plan(kept(14), kept(90))
    assert [one.loses_data for one in only_changed(longer).data] == [False]
    assert "! loses data" not in said(longer)


def test_a_key_that_goes_with_its_stack_is_marked_and_one_that_stays_is_told(plans: Plans) -> None:
    def keyed(key: str, retain: bool) -> dict[str, Any]:
        return {**one_tenant({"run": {}}), "data_bucket": {"key": key, "retain": retain}}

    deleted = plans.plan(keyed("own", False), keyed("aws", False))
    assert "! key DataKey is deleted: nothing that it encrypted can be read again" in said(deleted)
    assert "- policy of key DataKey is deleted" in said(deleted)
    retained = plans.plan(keyed("own", True), keyed("aws", True))
    assert "key DataKey is retained" in said(retained)
    assert "policy of key" not in said(retained)
    assert "! loses data" not in said(retained)
    weaker = plans.plan(keyed("aws", True), keyed("aws", False))
    assert "would go with its stack from now on" in said(weaker)


def test_tags_that_change_alike_are_one_line(plans: Plans) -> None:
    before = one_tenant({"run": {}})
    words = said(plans.plan({**before, "owner": "old owner"}, {**before, "owner": "new owner"}))
    assert words.count("Tags.sandpiper:owner old owner → new owner") < 10
    assert "alarm AlarmsErrors, alarm AlarmsThrottles" in words


def test_quotas_are_what_is_left_after_it(plans: Plans) -> None:
    before = one_tenant({"run": {}})
    after = one_tenant({"run": {}}, session_function={"reserved_concurrency": 40})
    plan = plans.plan(before, after, live_sessions=100, functions_at_once=150, interpreters=1)
    account = {one.quota: (one.used, one.limit) for one in plan.quotas if one.stack is None}
    assert account == {"interpreters": (1, 1), "live sessions": (40, 100), "functions at once": (40, 50)}
    assert "live sessions: 40 of 100, 60 left (reserved, one a run)" in said(plan)
    exceeded = plans.plan(before, after, live_sessions=39)
    assert "live sessions: 40 of 39, 1 too many (reserved, one a run)" in said(exceeded)
    assert "ReservedConcurrentExecutions nothing → 40" in said(plan)
    stacks = {one.stack for one in plan.quotas if one.quota == "template bytes"}
    assert stacks == {"sandpiper-one-claims", "sandpiper-one-fleet", "sandpiper-one-storage"}


def test_functions_that_reserve_nothing_use_nothing_yet_and_may_use_what_is_left(plans: Plans) -> None:
    def live_sessions(*reserved: int | None, **quotas: int) -> str:
        tenants: dict[str, Any] = {
            f"t{number}": {
                "interpreters": {"run": {}},
                "session_function": {"reserved_concurrency": each},
            }
            for number, each in enumerate(reserved)
        }
        words = said(plans.plan({"tenants": tenants}, {"tenants": tenants}, None, **quotas))
        (line,) = [line.strip() for line in words.splitlines() if "live sessions" in line]
        return line

    assert live_sessions(None) == (
        "live sessions: 0 of 1,000, 1,000 left (reserved, one a run; "
        "1 function that reserves nothing may use up to 1,000 more)"
    )
    assert live_sessions(40, None, None) == (
        "live sessions: 40 of 1,000, 960 left (reserved, one a run; 2 functions that reserve nothing may use up to 960 "
        "more)"
    )
    assert live_sessions(40, None, live_sessions=100, functions_at_once=150) == (
        "live sessions: 40 of 100, 60 left (reserved, one a run; "
        "1 function that reserves nothing may use up to 110 more, and AgentCore refuses what is beyond 60)"
    )


def test_a_place_that_is_not_bootstrapped_is_told_with_the_command_to_type(plans: Plans) -> None:
    environment = one_tenant({"run": {}})
    before, assembly = Observed(), plans.synthesise(environment)
    before.stacks = deployed(assembly)
    assert make(assembly, before.stacks, before, Quotas()).notes == ()
    before.bootstrap = None
    nothing = make(assembly, before.stacks, before, Quotas())
    bootstrap = "`cdk bootstrap aws://123456789012/us-east-1`"
    assert nothing.notes == (
        f"123456789012/us-east-1 is not bootstrapped, without which nothing is deployed: {bootstrap}",
    )
    assert said(nothing).splitlines()[1].strip() == nothing.notes[0]
    before.bootstrap = 2
    assert make(assembly, before.stacks, before, Quotas(), ["careful"]).notes == (
        "careful",
        f"the bootstrap of 123456789012/us-east-1 has version 2, and 6 is needed: {bootstrap}",
    )


def test_a_bucket_that_an_environment_before_left_is_told_before_aws_refuses_it(plans: Plans) -> None:
    assembly = plans.synthesise(one_tenant({"run": {}}))
    left = Observed(buckets=("sandpiper-one-123456789012-us-east-1",))
    (storage,) = [one for one in make(assembly, {}, left, Quotas()).stacks if one.name == "sandpiper-one-storage"]
    (note,) = storage.notes
    assert note.startswith("bucket sandpiper-one-123456789012-us-east-1 is there already, and AWS makes no second one")
    assert not [one.notes for one in make(assembly, {}, Observed(), Quotas()).stacks if one.notes]


def test_a_stack_whose_creation_failed_is_made_anew(plans: Plans) -> None:
    assembly, observed = plans.synthesise(one_tenant({"run": {}})), Observed()
    stacks = deployed(assembly)
    name = "sandpiper-one-storage"
    stacks[name] = replace(stacks[name], status="ROLLBACK_COMPLETE")
    plan = make(assembly, stacks, observed, Quotas())
    changed = only_changed(plan)
    assert (changed.name, changed.change, plan.has_changes) == (name, "new", True)
    assert changed.notes == (
        "its creation failed (ROLLBACK_COMPLETE): `cdk deploy` deletes what is left of it, and makes it anew",
    )


def test_another_default_interpreter_is_told(plans: Plans) -> None:
    before, after = one_tenant({"run": {}}), one_tenant({"tools": {}, "run": {}})
    assert "requests that name no interpreter run in tools instead of run, since it is the first of the file" in said(
        plans.plan(before, after)
    )
    assert "requests that name no" not in said(plans.plan(before, one_tenant({"run": {}, "tools": {}})))


def test_json_is_the_plan_and_can_be_read_again(plans: Plans) -> None:
    plan = plans.plan(one_tenant({"run": {}}), one_tenant({"run": PUBLIC}))
    printed = json.loads(json.dumps(plan.to_json()))
    assert printed.pop("hasChanges") is True
    assert Plan.model_validate(printed) == plan
    assert list(printed) == ["environment", "account", "region", "notes", "stacks", "quotas"]
    assert list(printed["stacks"][0]) == [
        *("name", "tenant", "change", "notes", "data", "interpreters", "permissions", "resources", "follows")
    ]


def test_letters_that_cloudformation_forgets_are_no_change(plans: Plans) -> None:
    environment = one_tenant({"run": {**PUBLIC, "reason": "Schätzung"}})
    observed = Observed()
    observed.stacks = deployed(plans.synthesise(environment))
    for stack in observed.stacks.values():
        text = json.dumps(stack.template.content, ensure_ascii=False)
        object.__setattr__(stack.template, "content", json.loads(text.replace("ä", "?")))
    assert not make(plans.synthesise(environment), observed.stacks, observed, Quotas()).has_changes


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "manifest.json: No such file"),
        ({"manifest.json": "no"}, "manifest.json is not JSON"),
        ({"manifest.json": "{}"}, "manifest.json has no artifacts"),
        ({"manifest.json": '{"artifacts": {}}'}, "it has no stack"),
        (
            {"manifest.json": '{"artifacts": {"other": {"type": "aws:cloudformation:stack"}}}'},
            "the stack other is not one of an environment of Sandpiper",
        ),
    ],
)
def test_a_folder_that_is_no_assembly_is_named_with_what_to_do(tmp_path: Path, files: dict[str, str], why: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CliError) as raised:
        open_assembly(tmp_path)
    message = str(raised.value)
    assert why in message
    assert str(tmp_path) in message
    assert "make one with `cdk synth" in message
