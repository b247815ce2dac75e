"""Every template is what CloudFormation's own schemas allow: properties, values, references, in its region."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.templates import charting_agent, private_network
from tests.templates.conftest import ACCOUNT, REGION, ROOT, read_assembly

if TYPE_CHECKING:
    from tests.templates.conftest import Assembly

IGNORED = {
    "W3005": "the CDK depends on a role's policies by depending on the role, too",
    "W3010": "zones are named in the environment file, so that nothing is looked up",
}
WORKFLOWS = ROOT / "examples" / "workflows"


def found(directory: Path, region: str) -> list[str]:
    """What cfn-lint has to say of the templates in a cloud assembly. It has to hold some."""
    templates = sorted(directory.glob("*.template.json"))
    assert templates
    command = [Path(sys.executable).with_name("cfn-lint"), "--format", "parseable", "--regions", region]
    checked = subprocess.run(
        [*command, "--ignore-checks", *IGNORED, "--", *templates], capture_output=True, text=True, timeout=120
    )
    assert not checked.stderr
    return checked.stdout.splitlines()


@pytest.mark.parametrize("environment", [file.stem for file in (ROOT / "environments").glob("*.yaml")])
def test_environments(assemblies: dict[str, Assembly], environment: str) -> None:
    assembly = assemblies[environment]
    assert found(assembly.directory, assembly.region) == []


def test_an_environment_with_a_network(tmp_path: Path) -> None:
    assembly = private_network.synthesised(tmp_path / "private")
    assert "sandpiper-private-network" in assembly.templates
    assert found(assembly.directory, assembly.region) == []


def test_the_charting_agent(tmp_path: Path) -> None:
    assert found(charting_agent.synthesise(tmp_path).directory, REGION) == []


def test_the_workflows(tmp_path: Path) -> None:
    place = {"CDK_OUTDIR": str(tmp_path), "CDK_DEFAULT_ACCOUNT": ACCOUNT, "CDK_DEFAULT_REGION": REGION}
    subprocess.run([sys.executable, WORKFLOWS / "app.py"], env=os.environ | place, check=True, timeout=120)
    assert found(read_assembly(tmp_path).directory, REGION) == []


def test_what_is_wrong_is_found(tmp_path: Path) -> None:
    wrong = '{"Resources": {"A": {"Type": "AWS::S3::Bucket", "Properties": {"BucketNames": "a"}}}}'
    (tmp_path / "wrong.template.json").write_text(wrong)
    (message,) = found(tmp_path, REGION)
    assert "BucketNames" in message
