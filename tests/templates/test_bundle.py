"""The function's code: small, pure, the same each time, and enough to run with nothing else installed."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import botocore
import pytest

from sandpiper_constructs import bundle as bundling
from sandpiper_constructs.bundle import Bundle, NotBundleable, bundle
from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
OFFLINE: dict[str, tuple[str, dict[str, str]]] = {
    "bedrock-agentcore": ("list_code_interpreter_sessions", {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}),
    "s3": ("get_object", {"Bucket": "data", "Key": "file"}),
    "sts": ("get_caller_identity", {}),
}
"""What each service's whole model is needed for, endpoint and serialisation and signature, without a call."""
SERVICES = set(OFFLINE)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle(cache=tmp_path_factory.mktemp("bundle"))


def _files(packed: Bundle) -> dict[PurePosixPath, Path]:
    return {
        PurePosixPath(path.relative_to(packed.directory)): path
        for path in sorted(packed.directory.rglob("*"))
        if path.is_file()
    }


def _zipped(packed: Bundle, wanted: Callable[[PurePosixPath], bool]) -> int:
    """Bytes of a zip archive of the wanted files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for place, path in _files(packed).items():
            if wanted(place):
                opened.write(path, str(place))
    return len(archive.getvalue())


def test_it_is_small(packed: Bundle, record_property: Callable[[str, object], None]) -> None:
    sources = _zipped(packed, lambda place: place.suffix != ".pyc")
    everything = _zipped(packed, lambda _: True)
    print(f"bundle: {sources / MEBIBYTE:.2f} MiB zipped, {everything / MEBIBYTE:.2f} MiB with bytecode")
    record_property("bundle_bytes", sources)
    assert sources < 3 * MEBIBYTE
    assert everything < 6 * MEBIBYTE


def test_it_is_the_same_each_time(packed: Bundle, tmp_path: Path) -> None:
    again = bundle(cache=tmp_path)
    assert again.digest == packed.digest
    first, second = _files(packed), _files(again)
    assert list(first) == list(second)
    assert [place for place in first if first[place].read_bytes() != second[place].read_bytes()] == []
    assert {path.stat().st_mtime for path in second.values()} == {bundling.MODIFIED}


def test_it_is_packed_once(packed: Bundle) -> None:
    before = packed.directory.stat().st_ino
    again = bundle(cache=packed.directory.parent)
    assert again == packed
    assert again.directory.stat().st_ino == before
    assert [path.name for path in packed.directory.parent.iterdir()] == [packed.directory.name]


def test_a_changed_source_is_another_bundle(packed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "changed.py"
    changed.write_text("CHANGED = True\n")

    def sources(name: str) -> list[tuple[PurePosixPath, Path]]:
        return [(PurePosixPath(name.replace("-", "_"), "changed.py"), changed)]

    monkeypatch.setattr(bundling, "_source_files", sources)
    assert bundle(cache=tmp_path / "cache").digest != packed.digest


def test_it_is_pure_python_without_tests_stubs_or_scripts(packed: Bundle) -> None:
    suffixes = {place.suffix for place in _files(packed)}
    assert not suffixes & {".so", ".pyd", ".dylib", ".dll", ".pyi", ".pth", ".exe"}
    assert not [place for place in _files(packed) if {"tests", "bin", "examples"} & set(place.parts)]


def test_it_has_the_models_of_the_services_in_use_and_no_others(packed: Bundle) -> None:
    data = packed.directory / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    assert {path.name for path in data.iterdir() if path.is_file()} >= {
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }


def test_its_models_are_botocores_without_the_words(packed: Bundle) -> None:
    installed = Path(botocore.__file__).parent / "data"
    kept = sorted((packed.directory / "botocore" / "data").rglob("*.json"))
    assert len(kept) > len(SERVICES)
    for path in kept:
        place = path.relative_to(packed.directory / "botocore" / "data")
        source = installed / place
        text = source.read_bytes() if source.is_file() else gzip.decompress(Path(f"{source}.gz").read_bytes())
        whole = json.loads(text)
        if place.name == "endpoints.json":
            for partition in whole["partitions"]:
                partition["services"] = {name: partition["services"].get(name) for name in SERVICES}
        _same_but_for_words(str(place), json.loads(path.read_bytes()), whole)


def _same_but_for_words(place: str, lean: Any, whole: Any) -> None:
    if isinstance(whole, dict):
        members = cast("dict[str, Any]", whole)
        present = {name: value for name, value in members.items() if value is not None}
        assert lean.keys() == present.keys(), place
        for name, value in present.items():
            if name == "documentation" and isinstance(value, str):
                assert lean[name] == "", place
            else:
                _same_but_for_words(f"{place}/{name}", lean[name], value)
    elif isinstance(whole, list):
        entries = cast("list[Any]", whole)
        assert len(lean) == len(entries), place
        for index, entry in enumerate(entries):
            _same_but_for_words(f"{place}/{index}", lean[index], entry)
    else:
        assert lean == whole, place


def test_it_runs_with_nothing_else_installed(packed: Bundle) -> None:
    """Python sees its standard library and the bundle: no site-packages, no variables, no working directory."""
    script = f"""
import sys
sys.path.insert(0, {str(packed.directory)!r})
import boto3, importlib.metadata
for service, method in {OFFLINE!r}.items():
    client = boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert client.generate_presigned_url(*method).startswith("https://")
import code_runner.handlers
assert callable(code_runner.handlers.run_operation)
for module in list(sys.modules.values()):
    origin = getattr(module, "__file__", None) or ""
    assert "site-packages" not in origin, origin
print(importlib.metadata.version("boto3"), boto3.__version__)
"""
    variables = {settings.BUCKET: "data", settings.PREFIX: "tenants/one", settings.INTERPRETERS: "{}"}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env={**variables, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    version = importlib.metadata.version("boto3")
    assert done.stdout.split() == [version, version]


def test_its_bytecode_is_used_without_a_look_at_the_source(packed: Bundle) -> None:
    compiled = packed.directory / "boto3" / "__pycache__" / f"session.{sys.implementation.cache_tag}.pyc"
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "hash-based, unchecked (PEP 552)"


def test_what_is_compiled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotBundleable, match=r"pydantic.core .* is compiled \(.*\.so\); a bundle is pure Python"):
        bundle("pydantic", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotBundleable, match="no-such-thing is not installed"):
        bundle("no-such-thing", cache=tmp_path)
