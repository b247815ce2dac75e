"""Reads the rules of cdk-nag's packs from its JavaScript, because cdk-nag reports only rules that fail."""

from __future__ import annotations

import functools
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cdk_nag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACK_FILES = {
    "AwsSolutions": "aws-solutions",
    "NIST.800.53.R5": "nist-800-53-r5",
    "HIPAA.Security": "hipaa-security",
    "PCI.DSS.321": "pci-dss-321",
    "Serverless": "serverless",
}
_RULE = re.compile(r"this\.applyRule\(\{(.*?)\n\s*\}\);", re.DOTALL)
_FUNCTION = re.compile(r"rule: (\w+)_1\.(\w+),")
_SUFFIX = re.compile(r"ruleSuffixOverride: '(\w+)'")
_CONTROLS = re.compile(r"info: .*\(Control IDs?: (.+)\)\.")
_NIST = re.compile(r"[A-Z]{2}-\d+")
_CLASS = re.compile(r"node instanceof (aws_\w+?)_1\.Cfn(\w+)")


@dataclass(frozen=True)
class PackRule:
    """One rule of a pack.

    Attributes:
        id: the rule's id in the pack, such as `AwsSolutions-S1`.
        name: the name of the rule's function, which several packs share, such as `S3BucketLoggingEnabled`.
        controls: the controls of the standard that the rule belongs to, as the pack lists them.
        resources: the resources that it checks, in lower case, such as `s3::bucket`.
    """

    id: str
    name: str
    controls: tuple[str, ...]
    resources: frozenset[str]


@functools.cache
def pack_rules(pack: str) -> tuple[PackRule, ...]:
    """Returns the rules of a pack. Raises ValueError if cdk-nag's files have another form."""
    found = tuple(_rules(pack))
    if len(found) != _sources()[f"packs/{PACK_FILES[pack]}.js"].count("this.applyRule("):
        raise ValueError(f"cdk-nag's pack {pack} has rules that cannot be read")
    return found


def without_enhancements(controls: Iterable[str]) -> tuple[str, ...]:
    """Returns the controls, each once, without enhancements and parts of NIST 800-53."""
    return tuple(dict.fromkeys(match[0] if (match := _NIST.match(each)) else each for each in controls))


def _rules(pack: str) -> Iterator[PackRule]:
    for match in _RULE.finditer(_sources()[f"packs/{PACK_FILES[pack]}.js"]):
        folder, name = _found(_FUNCTION, match[1]).groups()
        suffix, controls = _SUFFIX.search(match[1]), _CONTROLS.search(match[1])
        classes = _CLASS.findall(_sources()[f"rules/{folder}/{name}.js"])
        if not classes:
            raise ValueError(f"cdk-nag's rule {name} checks no type that can be read")
        yield PackRule(
            id=f"{pack}-{suffix[1] if suffix else name}",
            name=name,
            controls=tuple(map(_balanced, re.split(r",\s+", controls[1]))) if controls else (),
            resources=frozenset(f"{module.removeprefix('aws_')}::{kind}".lower() for module, kind in classes),
        )


def _balanced(control: str) -> str:
    """Returns a control with the parenthesis that the texts of some rules lack at their end."""
    return control + ")" * (control.count("(") - control.count(")"))


def _found(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.search(text)
    if match is None:
        raise ValueError(f"cdk-nag's files contain no {pattern.pattern} in {text[:200]!r}")
    return match


@functools.cache
def _sources() -> dict[str, str]:
    """Returns cdk-nag's JavaScript files of packs and rules by their path below `lib`."""
    (archive,) = (Path(str(cdk_nag.__file__)).parent / "_jsii").glob("*.tgz")
    with tarfile.open(archive) as files:
        return {
            member.name.removeprefix("package/lib/"): content.read().decode()
            for member in files
            if member.name.startswith(("package/lib/packs/", "package/lib/rules/")) and member.name.endswith(".js")
            if (content := files.extractfile(member)) is not None
        }
