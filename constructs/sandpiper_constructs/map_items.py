"""Finds tasks of an inline Map that do not distinguish the items of the Map.

The items of an inline Map share the execution and the name of the state, and can enter the state in the same
millisecond. So the run of such a task must include a value of the item. The states of a Map cannot read
`$$.Map.Item.Index`; only the Map's `ItemSelector` can, and passes it to them in their input.
https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html#contextobject-map
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

ITEM_FIELDS = {"item", "item.$", "index", "index.$"}
"""Fields of a run that distinguish the items of a Map."""


def tasks_without_item(definition: Mapping[str, Any], map_name: str | None = None) -> Iterator[tuple[str, str]]:
    """Yields the names of the Map and of the task, for each task of an inline Map whose run does not name its item.

    Args:
        definition: A state machine, a branch or an item processor, in Amazon States Language.
        map_name: The inline Map that contains it, if any. The items of a Distributed Map are separate executions.
    """
    for name, state in definition["States"].items():
        arguments = state.get("Parameters") or state.get("Arguments")
        run = cast("Mapping[str, Any]", arguments).get("run") if isinstance(arguments, Mapping) else None
        if map_name is not None and run is not None and not ITEM_FIELDS & run.keys():
            yield map_name, name
        for branch in state.get("Branches", ()):
            yield from tasks_without_item(branch, map_name)
        processor = state.get("ItemProcessor") or state.get("Iterator")
        if processor is not None:
            is_inline = processor.get("ProcessorConfig", {}).get("Mode", "INLINE") == "INLINE"
            yield from tasks_without_item(processor, name if is_inline else None)
