"""Reads a cloud assembly: every stack, nested template and stage, with targets, construct paths and acknowledgements.

https://docs.aws.amazon.com/cdk/v2/guide/configure-synth.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.reading.document import parse_document, read_document, read_limited
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.json_text import parse_json
from sandpiper.review.reading.limits import MAX_ASSEMBLY_BYTES, MAX_MANIFEST_BYTES, MAX_TEMPLATE_BYTES, MAX_TEMPLATES
from sandpiper.review.reading.source import UNKNOWN_ACCOUNT, UNKNOWN_REGION, TemplateSource
from sandpiper.review.reading.values import as_list, as_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MANIFEST = "manifest.json"
_TARGET = re.compile(r"aws://([^/]+)/(.+)")
_STACK, _STAGE = "aws:cloudformation:stack", "cdk:cloud-assembly"
_NESTED = "AWS::CloudFormation::Stack"
_REMEDY = "create the cloud assembly again with `cdk synth`"
MAX_STAGES = 5


def read_assembly(directory: Path, progress: Callable[[str], None], shown: str) -> list[TemplateSource]:
    """Reads the templates of a cloud assembly.

    Args:
        directory: The folder with `manifest.json`.
        progress: Called with the name of each template before it is read.
        shown: The folder in locations; empty for paths that are relative to the assembly.

    Raises:
        TemplateError: The folder is not a cloud assembly, a template cannot be read, or a limit is exceeded.
    """
    reader = _AssemblyReader(directory, progress, shown)
    return list(reader.read(directory, 0))


@dataclass
class _AssemblyReader:
    root: Path
    progress: Callable[[str], None]
    shown: str
    templates: int = 0
    size: int = 0

    def read(self, directory: Path, level: int) -> Iterator[TemplateSource]:
        """Yields the templates of an assembly, and those of its stages."""
        manifest = self._json(directory / MANIFEST)
        artifacts = manifest.get("artifacts")
        if not isinstance(artifacts, dict):
            raise TemplateError(self._name(directory / MANIFEST), "has no artifacts", _REMEDY)
        for artifact_id, entry in cast("dict[str, Any]", artifacts).items():
            artifact = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
            properties = as_mapping(artifact.get("properties"))
            if artifact.get("type") == _STACK:
                yield from self._stack(directory, artifact_id, artifact, properties)
            elif artifact.get("type") == _STAGE and level < MAX_STAGES:
                yield from self.read(self._inside(directory, properties.get("directoryName")), level + 1)

    def _stack(
        self, directory: Path, artifact_id: str, artifact: dict[str, Any], properties: dict[str, Any]
    ) -> Iterator[TemplateSource]:
        name = str(properties.get("stackName", artifact_id))
        target = _TARGET.fullmatch(str(artifact.get("environment")))
        account, region = target.groups() if target else (UNKNOWN_ACCOUNT, UNKNOWN_REGION)
        constructs, acknowledged = self._metadata(directory, artifact)
        source = TemplateSource(
            name=name,
            document=self._document(self._inside(directory, properties.get("templateFile"))),
            account=account if account.isdecimal() else UNKNOWN_ACCOUNT,
            region=UNKNOWN_REGION if region.startswith("unknown") else region,
            constructs=constructs,
            acknowledged=acknowledged,
            service_role=str(properties.get("cloudFormationExecutionRoleArn", "")),
        )
        yield source
        yield from self._nested(directory, source, 0)

    def _document(self, file: Path) -> Any:
        self.templates += 1
        name = self._name(file)
        self.progress(name)
        if self.templates > MAX_TEMPLATES:
            raise TemplateError(
                name, f"is beyond the first {MAX_TEMPLATES:,} templates", "review fewer stacks together"
            )
        data = read_limited(file, name, MAX_TEMPLATE_BYTES)
        self.size += len(data)
        if self.size > MAX_ASSEMBLY_BYTES:
            raise TemplateError(name, f"is beyond {MAX_ASSEMBLY_BYTES:,} bytes", "review fewer stacks together")
        return parse_document(data, name)

    def _nested(self, directory: Path, parent: TemplateSource, level: int) -> Iterator[TemplateSource]:
        nested = {key: entry for key, entry in parent.resources.items() if entry["Type"] == _NESTED}
        if not nested or level > MAX_STAGES:
            return
        assets = self._template_assets(directory, parent.name)
        for logical_id, entry in nested.items():
            file = as_mapping(entry.get("Metadata")).get("aws:asset:path") or next(
                (path for key, path in assets.items() if key in str(as_mapping(entry.get("Properties")))), None
            )
            if isinstance(file, str) and (directory / file).exists():
                source = TemplateSource(
                    name=f"{parent.name}.{logical_id}",
                    document=self._document(self._inside(directory, file)),
                    account=parent.account,
                    region=parent.region,
                    parent=parent.address(logical_id),
                    service_role=parent.service_role,
                )
                yield source
                yield from self._nested(directory, source, level + 1)

    def _template_assets(self, directory: Path, stack: str) -> dict[str, str]:
        """Returns the files of the assets that are templates, by asset ID."""
        file = directory / f"{stack}.assets.json"
        files = as_mapping(self._json(file).get("files")) if file.exists() else {}
        paths = {key: as_mapping(as_mapping(asset).get("source")).get("path") for key, asset in files.items()}
        return {key: path for key, path in paths.items() if isinstance(path, str) and path.endswith(".template.json")}

    def _metadata(self, directory: Path, artifact: dict[str, Any]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """Returns construct paths and acknowledgements by logical ID."""
        by_path = as_mapping(artifact.get("metadata"))
        if isinstance(file := artifact.get("additionalMetadataFile"), str):
            by_path = {**by_path, **self._json(self._inside(directory, file))}
        constructs: dict[str, str] = {}
        rules: dict[str, dict[str, str]] = defaultdict(dict)
        for path, entries in by_path.items():
            for entry in map(as_mapping, as_list(entries)):
                data = entry.get("data")
                if entry.get("type") == "aws:cdk:logicalId":
                    constructs[str(data)] = path.removeprefix("/")
                elif entry.get("type") == "aws:cdk:acknowledged-rules":
                    rules[path.removeprefix("/")] |= {key: str(reason) for key, reason in as_mapping(data).items()}
        return constructs, {key: found for key, path in constructs.items() if (found := _inherited(rules, path))}

    def _json(self, file: Path) -> dict[str, Any]:
        name = self._name(file)
        content = parse_json(read_limited(file, name, MAX_MANIFEST_BYTES).decode(errors="replace"), name, limited=False)
        if not isinstance(content, dict):
            raise TemplateError(name, "is not a mapping", _REMEDY)
        return cast("dict[str, Any]", content)

    def _inside(self, directory: Path, file: object) -> Path:
        """Returns a path of the manifest, which must stay inside the assembly."""
        path = directory / str(file)
        if not path.resolve().is_relative_to(self.root.resolve()):
            problem = f"names a file outside of the assembly: {str(file)[:200]!r}"
            raise TemplateError(self._name(directory / MANIFEST), problem, _REMEDY)
        return path

    def _name(self, file: Path) -> str:
        inside = file.relative_to(self.root)
        return str(Path(self.shown) / inside) if self.shown else str(inside)


def _inherited(rules: Mapping[str, dict[str, str]], path: str) -> dict[str, str]:
    """Returns the acknowledgements of a construct and of the constructs above it."""
    found: dict[str, str] = {}
    steps = path.split("/")
    for length in range(1, len(steps) + 1):
        found |= rules.get("/".join(steps[:length]), {})
    return found


def is_assembly(path: Path) -> bool:
    """Returns whether a path is the folder of a cloud assembly."""
    return path.is_dir() and (path / MANIFEST).exists()


def read_template(path: Path, shown: str) -> TemplateSource:
    """Reads a single template, which is bound to no account.

    Args:
        path: The file.
        shown: The name of the file in locations.

    Raises:
        TemplateError: The file cannot be read, or is not a template.
    """
    document = read_document(path, shown)
    source = TemplateSource(path.name.split(".")[0] or path.name, document)
    if not source.resources:
        remedy = "name a CloudFormation template (JSON or YAML) or a cloud assembly"
        raise TemplateError(shown, "is not a CloudFormation template: it has no Resources", remedy)
    return source
