"""Reads what cdk-nag's rule packs say about an interpreter from the validation report of a cloud assembly.

cdk-nag has no rules about interpreters; its packs read the execution role. A pack that did not run has no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.acceptance import PLUGIN
from sandpiper.review.reading.document import read_limited
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.json_text import parse_json
from sandpiper.review.reading.limits import MAX_MANIFEST_BYTES
from sandpiper.review.reading.values import as_list, as_mapping, as_text
from sandpiper.review.rules.queries import execution_role, interpreters
from sandpiper.review.verdicts.verdict import Outcome, Verdict
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel

REPORT = "validation-report.json"
_SOURCE = "https://github.com/cdklabs/cdk-nag/blob/main/RULES.md"


@dataclass(frozen=True)
class NagReport:
    """A validation report.

    Attributes:
        location: The file, with the line of a problem.
        plugins: The reports of its plugins; none if it cannot be read.
        problem: Why it cannot be read; empty if it can.
    """

    location: Location
    plugins: tuple[dict[str, Any], ...] = ()
    problem: str = ""


def read_nag_report(assembly: Path, shown: str) -> NagReport | None:
    """Reads the validation report of a cloud assembly; returns None without a report.

    Args:
        assembly: The folder of the assembly.
        shown: The folder in locations; empty for paths that are relative to the assembly.
    """
    file, name = assembly / REPORT, str(Path(shown) / REPORT)
    if not file.exists():
        return None
    try:
        text = read_limited(file, name, MAX_MANIFEST_BYTES).decode(errors="replace")
        content = parse_json(text, name, limited=False)
    except TemplateError as error:
        return NagReport(Location(name, error.line), problem=error.problem)
    plugins = as_mapping(content).get("pluginReports")
    if not isinstance(plugins, list):
        return NagReport(Location(name), problem="has no list of pluginReports")
    return NagReport(Location(name), tuple(map(as_mapping, cast("list[object]", plugins))))


def nag_verdicts(model: ReviewModel) -> Iterator[Verdict]:
    """Yields the verdict of each pack about the constructs of each interpreter; none without a report."""
    plugins = [plugin for report in model.nag_reports for plugin in report.plugins]
    for interpreter in dict.fromkeys(one.address for one in interpreters(model)):
        constructs = _constructs(model, interpreter)
        for plugin in plugins if constructs else ():
            name = as_text(plugin.get("pluginName"))
            if name != PLUGIN:
                yield Verdict(interpreter, "cdk-nag", name, _SOURCE, *_outcome(plugin, constructs))


def _constructs(model: ReviewModel, interpreter: str) -> tuple[str, ...]:
    """Returns the construct paths of an interpreter and of its execution role."""
    resource = model.by_address[interpreter]
    role = execution_role(model, resource)
    found = (resource.location, role.location) if role else (resource.location,)
    return tuple(one.construct for one in found if one.construct)


def _outcome(plugin: dict[str, Any], constructs: tuple[str, ...]) -> tuple[Outcome, str]:
    if "error" in as_mapping(plugin.get("metadata")):
        return Outcome.NOT_APPLICABLE, "The pack ended with an error."
    open_ = _rules(plugin, "violations", constructs)
    accepted = _rules(plugin, "suppressedViolations", constructs)
    if open_:
        return Outcome.FAIL, f"Findings at the interpreter and its role: {', '.join(open_)}."
    if accepted:
        return Outcome.PASS, f"Its findings are accepted with a reason: {', '.join(accepted)}."
    return Outcome.PASS, "It has no finding at the interpreter and its role."


def _rules(plugin: dict[str, Any], list_: str, constructs: tuple[str, ...]) -> list[str]:
    found = [
        as_text(as_mapping(one).get("ruleName")).partition("[")[0]
        for one in as_list(plugin.get(list_))
        for construct in as_list(as_mapping(one).get("violatingConstructs"))
        if _is_in(as_text(as_mapping(construct).get("constructPath")), constructs)
    ]
    return sorted(set(found))


def _is_in(path: str, constructs: tuple[str, ...]) -> bool:
    """Returns whether a path is one of the constructs or next to its resource, as the policy of a role is."""
    return path in constructs or path.startswith(tuple(f"{one.removesuffix('/Resource')}/" for one in constructs))
