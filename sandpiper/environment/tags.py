"""Contains the types of owners and tags."""

from typing import Annotated

from pydantic import AfterValidator, Field

from sandpiper.environment.options import item


def _not_aws_prefix(name: str) -> str:
    if name.lower().startswith(("aws:", "sandpiper:")):
        raise ValueError("choose another name")
    return name


_TAG_PATTERN = r"^[\w .:/=+@-]*$"
_TAG_CHARACTERS = "letters, digits, spaces and . : / = + - @ _"
TagName = Annotated[
    str,
    Field(
        pattern=_TAG_PATTERN,
        min_length=1,
        max_length=128,
        description=f"1 to 128 {_TAG_CHARACTERS}, not starting with aws: or sandpiper:",
    ),
    AfterValidator(_not_aws_prefix),
]
Owner = Annotated[str, Field(pattern=r"^[\w .:/=+@-]*\w[\w .:/=+@-]*$", max_length=200)]
ALLOWED_OWNER_TAG = f"1 to 200 {_TAG_CHARACTERS}, because it becomes a tag"
TagValue = Annotated[
    str,
    item(
        f"at most 256 {_TAG_CHARACTERS}, in quotes if YAML would read another type",
        "claims",
        pattern=_TAG_PATTERN,
        max_length=256,
    ),
]
Tags = Annotated[dict[TagName, TagValue], Field(max_length=40)]
ALLOWED_TAGS = f"a mapping of at most 40 tags, values of at most 256 {_TAG_CHARACTERS}"
