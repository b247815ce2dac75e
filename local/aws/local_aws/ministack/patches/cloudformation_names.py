"""Names that CloudFormation generates. Policies contain patterns of them, so that shortened names must be as on AWS.

MiniStack removes the end of the logical ID, even all of it. CloudFormation shares the characters evenly between the
name of the stack and the logical ID:
https://github.com/aws-cloudformation/cloudformation-cli-java-plugin, `IdentifierUtils`.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from ministack.services.cloudformation import provisioners

MINISTACK_VERSION = "1.5.33"
SUFFIX_CHARACTERS = 12
UNSHORTENED = 1_024
_physical_name = provisioners._physical_name


def install() -> None:
    """Replaces MiniStack's generation of names."""
    provisioners._physical_name = physical_name


def physical_name(
    stack_name: str, logical_id: str, *, lowercase: bool = False, max_len: int = 128, seeded: bool = True
) -> str:
    """Returns the name of a resource: the name of its stack, its logical ID and a suffix, with at most `max_len`."""
    suffix = _physical_name(stack_name, logical_id, max_len=UNSHORTENED, seeded=seeded)[-SUFFIX_CHARACTERS:]
    free = max_len - SUFFIX_CHARACTERS - len("--")
    of_stack = max(free - free // 2, free - len(logical_id))
    of_logical_id = free - min(of_stack, len(stack_name))
    name = f"{stack_name[:of_stack]}-{logical_id[:of_logical_id]}-{suffix}"
    return name.lower() if lowercase else name
