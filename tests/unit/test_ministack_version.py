"""The check of the MiniStack version that the patches were written for."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import local_aws
import sandpiper_policy
from local_aws.ministack import version_check

LOCAL = Path(__file__).parents[2] / "local"
FAKE_VERSION = "9.9.9"
MESSAGE = (
    rf"MiniStack {FAKE_VERSION} is installed, but patches in .*/patches were written for 1\.5\.33 "
    r"\(agentcore_telemetry\.py, app\.py, cloudformation\.py, .*\): run `make setup` to install the pinned version, "
    r"or adapt each patch and its MINISTACK_VERSION"
)


def test_every_patch_states_the_pinned_version() -> None:
    runtime = tomllib.loads((LOCAL / "runtimes/ministack/pyproject.toml").read_text())
    (requirement,) = runtime["project"]["dependencies"]
    patches = {file.name for file in version_check.PATCHES.glob("*.py")} - {"__init__.py"}
    assert version_check.tested_versions() == dict.fromkeys(patches, requirement.removeprefix("ministack=="))


def test_only_patches_import_ministack() -> None:
    imports = re.compile(r"^\s*(?:import|from) ministack\b", re.MULTILINE)
    files = {file for file in (LOCAL / "aws").rglob("*.py") if imports.search(file.read_text())}
    assert {file.parent for file in files} == {version_check.PATCHES}


def test_the_pinned_version_is_accepted() -> None:
    version_check.require_tested_version("1.5.33")


def test_another_version_fails_with_the_remedy() -> None:
    with pytest.raises(SystemExit, match=f"^{MESSAGE}$"):
        version_check.require_tested_version(FAKE_VERSION)


def test_the_process_ends_before_it_imports_a_patch(tmp_path: Path) -> None:
    """Runs `start.py` with the metadata of another version and without MiniStack: an import would fail otherwise."""
    metadata = tmp_path / f"ministack-{FAKE_VERSION}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: ministack\nVersion: {FAKE_VERSION}\n")
    packages = [str(Path(package.__file__ or "").parent) for package in (local_aws, sandpiper_policy)]
    started = subprocess.run(
        [
            sys.executable,
            str(LOCAL / "aws/local_aws/ministack/start.py"),
            *packages,
            "--",
            "0",
            str(tmp_path),
            "python",
        ],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert started.returncode == 1
    assert re.fullmatch(MESSAGE, started.stderr.strip())
