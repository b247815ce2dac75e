"""Renders strings of templates, in which tokens are intrinsic functions, as text."""

from __future__ import annotations

from typing import cast


def template_text(value: object) -> str:
    """Returns a string of a template with its references in angle brackets, such as `<Bucket.Arn>`.

    Args:
        value: a string, or the `Ref`, `Fn::GetAtt` or `Fn::Join` that a token resolves to.
    """
    if not isinstance(value, dict):
        return str(value)
    ((function, argument),) = cast("dict[str, object]", value).items()
    if function == "Fn::Join":
        delimiter, parts = cast("tuple[str, list[object]]", argument)
        return delimiter.join(map(template_text, parts))
    return f"<{argument if isinstance(argument, str) else '.'.join(cast('list[str]', argument))}>"
