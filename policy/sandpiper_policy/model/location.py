"""The position of a value in a template, for messages that an editor can jump to."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True)
class Location:
    """The position of a value.

    Attributes:
        file: The path of the file, as the user named it or relative to the folder that the user named.
        line: The line of the value, from 1; None when it is not known.
        address: The resource, `STACK/LOGICAL_ID`; empty for a template as a whole.
        path: The path below the resource, such as `("Properties", "Policies", 0)`.
        construct: The path of the CDK construct; empty for a template that the CDK did not write.
    """

    file: str
    line: int | None = None
    address: str = ""
    path: tuple[str | int, ...] = ()
    construct: str = ""

    def below(self, *steps: str | int) -> Location:
        """Returns the location of a value inside this one. Its line is not known."""
        return replace(self, path=(*self.path, *steps), line=None)

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"
