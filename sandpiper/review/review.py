"""Reviews templates: reads them, builds the model, applies the rules and joins findings with their acceptances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.building.build import build_model
from sandpiper.review.reading.assembly import is_assembly, read_assembly, read_template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sandpiper.review.model import ReviewModel


def load_model(paths: Sequence[Path], progress: Callable[[str], None] = lambda _: None) -> ReviewModel:
    """Reads cloud assemblies and templates into one model.

    Args:
        paths: Folders of cloud assemblies, and files of templates.
        progress: Called with a line about each step.

    Raises:
        TemplateError: A file cannot be read, or exceeds a limit.

    Example:
        >>> model = load_model([Path("cdk.out")])  # doctest: +SKIP
        >>> [one.address for one in model.of_type("AWS::BedrockAgentCore::CodeInterpreterCustom")]  # doctest: +SKIP
        ['sandpiper-prod-claims/Interpretersandbox3BC2AC0C']
    """
    sources = [
        source
        for path in paths
        for source in (read_assembly(path, progress) if is_assembly(path) else [read_template(path)])
    ]
    progress("building the model")
    return build_model(", ".join(path.name for path in paths), sources)
