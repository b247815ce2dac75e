"""ARN patterns of policies. `*` and `?` match within one of the six ARN parts; the last part may contain colons.

Source: "Identify AWS resources with Amazon Resource Names" in the IAM User Guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_policy.errors import PolicyError
from sandpiper_policy.text_pattern import TextPattern, parse_text_pattern

if TYPE_CHECKING:
    from sandpiper_policy.context import Context

PARTS = 6


@dataclass(frozen=True)
class ArnPattern:
    """An ARN of a policy, split into its parts.

    Attributes:
        source: The ARN as it is in the document.
        parts: One pattern for each of the six parts; the last one is without the resource type.
        resource_type: The literal prefix of the last part, such as `role/` or `log-group:`.
    """

    source: str
    parts: tuple[TextPattern, ...]
    resource_type: str = ""

    def matches(self, arn: str, context: Context) -> bool | None:
        """Returns whether the pattern matches an ARN, or None when one of its variables has no value."""
        parts = arn.split(":", PARTS - 1)
        if len(parts) < PARTS or not parts[-1].startswith(self.resource_type):
            return False
        parts[-1] = parts[-1].removeprefix(self.resource_type)
        matches = [pattern.matches(part, context) for pattern, part in zip(self.parts, parts, strict=True)]
        return None if None in matches else all(matches)


def parse_resource(source: str, *, variables: bool) -> ArnPattern | None:
    """Parses a value of `Resource`. Returns None for `*`, which matches every resource.

    A resource type (`role/`, `log-group:`) cannot contain wildcards: `*` is an ordinary character in it. Amazon S3
    resources have no resource type.

    Raises:
        PolicyError: The value is neither an ARN nor `*`.
    """
    if source == "*":
        return None
    parts = _split(source)
    if len(parts) < PARTS and source.endswith("*"):
        parts += ["*"] * (PARTS - len(parts))
    if len(parts) < PARTS or parts[0] != "arn":
        raise PolicyError(f"the resource {source!r} is neither an ARN nor *")
    resource_type = "" if parts[2:5] == ["s3", "", ""] else _resource_type(parts[-1])
    parts[-1] = parts[-1].removeprefix(resource_type)
    patterns = tuple(parse_text_pattern(part, wildcards=True, variables=variables) for part in parts)
    return ArnPattern(source, patterns, resource_type)


def parse_condition_arn(source: str, *, variables: bool) -> ArnPattern:
    """Parses a value of an ARN condition operator, such as `ArnLike`.

    Raises:
        PolicyError: The value is not an ARN.
    """
    parts = _split(source)
    if len(parts) < PARTS:
        raise PolicyError(f"{source!r} is not an ARN")
    return ArnPattern(source, tuple(parse_text_pattern(part, wildcards=True, variables=variables) for part in parts))


def _split(source: str) -> list[str]:
    """Splits an ARN at its colons, except at those in the name of a variable."""
    if "{" not in source:
        return source.split(":", PARTS - 1)
    parts, depth = [""], 0
    for character in source:
        if character == ":" and depth == 0 and len(parts) < PARTS:
            parts.append("")
            continue
        depth += {"{": 1, "}": -1}.get(character, 0)
        parts[-1] += character
    return parts


def _resource_type(resource: str) -> str:
    for index, character in enumerate(resource):
        if character in "/:":
            return resource[: index + 1]
        if character == "$":  # a resource type cannot contain a variable, so this is already the name
            return ""
    return ""
