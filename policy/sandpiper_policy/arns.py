"""ARNs in policies. `*` and `?` stay within one of the six parts, save in the last, which has colons of its own.

"Identify AWS resources with Amazon Resource Names" of the IAM User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_policy.errors import PolicyError
from sandpiper_policy.text import Text, text

if TYPE_CHECKING:
    from sandpiper_policy.context import Context

PARTS = 6


@dataclass(frozen=True)
class ArnPattern:
    """An ARN of a policy, part by part. `kind` is what stands literally before the resource's own name."""

    source: str
    parts: tuple[Text, ...]
    kind: str = ""

    def matches(self, arn: str, context: Context) -> bool | None:
        """Whether an ARN matches, or None when a variable has no value."""
        parts = arn.split(":", PARTS - 1)
        if len(parts) < PARTS or not parts[-1].startswith(self.kind):
            return False
        parts[-1] = parts[-1].removeprefix(self.kind)
        found = [pattern.matches(part, context) for pattern, part in zip(self.parts, parts, strict=True)]
        return None if None in found else all(found)


def resource_pattern(source: str, *, variables: bool) -> ArnPattern | None:
    """Reads an element of `Resource`; None is `*`, every resource.

    The type of a resource (`role/`, `log-group:`) takes no wildcard: there `*` is a character like others. Amazon S3's
    resources have no type.

    Raises:
        PolicyError: it is neither an ARN nor `*`.
    """
    if source == "*":
        return None
    parts = _split(source)
    if len(parts) < PARTS and source.endswith("*"):
        parts += ["*"] * (PARTS - len(parts))
    if len(parts) < PARTS or parts[0] != "arn":
        raise PolicyError(f"the resource {source!r} is neither an ARN nor *")
    kind = "" if parts[2:5] == ["s3", "", ""] else _kind(parts[-1])
    parts[-1] = parts[-1].removeprefix(kind)
    return ArnPattern(source, tuple(text(part, wildcards=True, variables=variables) for part in parts), kind)


def condition_pattern(source: str, *, variables: bool) -> ArnPattern:
    """Reads a value of ArnLike and its kin.

    Raises:
        PolicyError: it is no ARN.
    """
    parts = _split(source)
    if len(parts) < PARTS:
        raise PolicyError(f"{source!r} is not an ARN")
    return ArnPattern(source, tuple(text(part, wildcards=True, variables=variables) for part in parts))


def _split(source: str) -> list[str]:
    """The parts of an ARN: at colons, but not at those of a variable's name."""
    parts, depth = [""], 0
    for character in source:
        if character == ":" and depth == 0 and len(parts) < PARTS:
            parts.append("")
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        parts[-1] += character
    return parts


def _kind(resource: str) -> str:
    for index, character in enumerate(resource):
        if character in "/:":
            return resource[: index + 1]
        if character == "$":  # the type is no variable either: this is the name
            return ""
    return ""
