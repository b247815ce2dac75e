"""Checks the flags of `sandpiper init` by the rules of the environment file that they would write."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment, format_value
from sandpiper.environment.file import from_text
from sandpiper.environment.interpreter import ALLOWED_EXPIRY
from sandpiper.environment.model import Environment
from sandpiper.environment.scaffold import NETWORKS, EnvironmentScaffold
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

ZONE_FORMAT = "NAME=ID, such as eu-west-1a=euw1-az1"
ZONE_REMEDY = "look up the zones: `aws ec2 describe-availability-zones`"


@dataclass(frozen=True)
class Flag:
    """A flag of `sandpiper init`.

    `network` is the only network that the flag is valid for. `remedy` replaces a remedy that is worded for a file.
    """

    option: str
    network: str = ""
    remedy: str = ""


FLAGS = {
    "name": Flag("--name"),
    "account": Flag("--account"),
    "region": Flag("--region"),
    "owner": Flag("--owner"),
    "network": Flag("--network"),
    "reason": Flag("--reason", "PUBLIC"),
    "expires": Flag("--expires", "PUBLIC", remedy="use a date as YYYY-MM-DD, today or later"),
    "zones": Flag("--zone", "VPC"),
    "s3_prefix_list": Flag(
        "--s3-prefix-list", "VPC", remedy="look it up: `aws ec2 describe-managed-prefix-lists --region REGION`"
    ),
    "output": Flag("--output"),
}
"""By the field of `EnvironmentScaffold` (and `output`), in the order of messages."""
ALLOWED = {
    Environment.model_fields["name"].description: "1 to 20 characters a-z and 0-9, starting with a letter",
    Environment.model_fields["account"].description: "12 digits",
}
"""Allowed values of a flag, by those of the same option of a file, where they differ."""


def find_issues(scaffold: EnvironmentScaffold, output: Path | None) -> list[ConfigIssue]:
    """Returns every issue of the flags, in the order of FLAGS.

    The first step of an issue's key path is a key of FLAGS. The second, if any, is the value of a repeated flag.
    """
    network = scaffold.network or "SANDBOX"
    issues = [
        *_flags_of_other_networks(scaffold, network),
        *_zone_issues(scaffold, network),
        *_expiry_issues(scaffold),
        *_output_issues(scaffold, output),
    ]
    reported = {issue.key_path for issue in issues}
    # The file is checked without the zones that are not NAME=ID, which are already reported.
    readable = replace(scaffold, zones=tuple(dict(filter(all, scaffold.zones)).items()))
    issues += [issue for issue in _file_issues(readable) if issue.key_path not in reported]
    order = list(FLAGS)
    return sorted(issues, key=lambda issue: order.index(flag_name(issue)))


def flag_name(issue: ConfigIssue) -> str:
    """Returns the key in FLAGS of the flag that an issue is about."""
    return str(issue.key_path[0])


def flag_message(issue: ConfigIssue) -> str:
    """Returns an issue as a message about its flag, such as `--zone eu-west-1a=euw1-az9 is …; allowed: …; …`."""
    flag, *values = issue.key_path
    return issue.message(" ".join([FLAGS[str(flag)].option, *map(str, values)]))


def is_missing(issue: ConfigIssue) -> bool:
    """Returns whether the issue is that a flag is missing, which a prompt can solve."""
    return issue.problem.startswith("is missing")


def default_file(name: str) -> Path:
    """Returns the path of an environment's file without `--output`."""
    return Path("environments", f"{name}.yaml")


def _issue(flag: str, problem: str, allowed: str, remedy: str, *values: str) -> ConfigIssue:
    return ConfigIssue(key_path=(flag, *values), problem=problem, allowed=allowed, remedy=remedy)


def _flags_of_other_networks(scaffold: EnvironmentScaffold, network: str) -> Iterator[ConfigIssue]:
    if network not in NETWORKS:
        return
    context = f"with --network {network}" if scaffold.network else "without --network"
    for name, flag in FLAGS.items():
        if not flag.network or flag.network == network or getattr(scaffold, name) in (None, ()):
            continue
        value = getattr(scaffold, name) if name != "zones" else ",".join(map(_zone_text, scaffold.zones))
        yield _issue(
            name,
            f"is {format_value(value)}, {context}",
            f"only with --network {flag.network}",
            f"remove it, or use --network {flag.network}",
        )


def _zone_issues(scaffold: EnvironmentScaffold, network: str) -> Iterator[ConfigIssue]:
    """Yields issues that the text of a file cannot express: a zone that is not NAME=ID, or the same zone twice."""
    if network != "VPC":
        return
    for name, zone_id in scaffold.zones:
        if not name or not zone_id:
            yield _issue("zones", f"is {format_value(_zone_text((name, zone_id)))}", ZONE_FORMAT, ZONE_REMEDY)
    for name, count in Counter(name for name, _ in scaffold.zones).items():
        if count > 1:
            yield _issue("zones", f"has {format_value(name)} {count} times", "each zone once", ZONE_REMEDY)


def _zone_text(zone: tuple[str, str]) -> str:
    return "=".join(filter(None, zone))


def _expiry_issues(scaffold: EnvironmentScaffold) -> Iterator[ConfigIssue]:
    """Yields an issue for a past date, with which the new environment could not be deployed."""
    with suppress(ValueError):  # not a date: an issue of the file
        if scaffold.expires and date.fromisoformat(scaffold.expires) < datetime.now(UTC).date():
            yield _issue("expires", f"is {scaffold.expires}", ALLOWED_EXPIRY, "use today or a later date")


def _output_issues(scaffold: EnvironmentScaffold, output: Path | None) -> Iterator[ConfigIssue]:
    if output is None:
        if scaffold.name and default_file(scaffold.name).exists():
            file = default_file(scaffold.name)
            yield _issue(
                "name",
                f"is {format_value(scaffold.name)}, but {file} already exists and is not overwritten",
                "a name without a file",
                "choose another --name or --output",
            )
        return
    file_name = f"{scaffold.name or 'NAME'}.yaml"
    value = format_value(str(output))
    if output.name != file_name and (scaffold.name or output.suffix != ".yaml"):
        suggestion = output / file_name if output.is_dir() else output.with_name(file_name)
        allowed = f"a file named {file_name}, like --name"
        yield _issue("output", f"is {value}", allowed, f"use --output {suggestion}, or another --name")
    elif not output.parent.is_dir():
        remedy = f"create it (`mkdir -p {output.parent}`), or choose another --output"
        yield _issue(
            "output",
            f"is {value}, but the folder {output.parent} does not exist",
            "a file in an existing folder",
            remedy,
        )
    elif output.exists():
        problem = f"is {value}, which already exists and is not overwritten"
        yield _issue("output", problem, "a file that does not exist", "choose another --output")


def _file_issues(scaffold: EnvironmentScaffold) -> Iterator[ConfigIssue]:
    """Yields the issues of the file that the flags would write, one for each flag or zone."""
    try:
        from_text(scaffold.render(), Path(f"{scaffold.name}.yaml"))
    except InvalidEnvironment as error:
        issues = [_flag_issue(scaffold, issue) for issue in error.issues]
        yield from {issue.key_path: issue for issue in reversed(issues)}.values()


def _flag_issue(scaffold: EnvironmentScaffold, issue: ConfigIssue) -> ConfigIssue:
    """Returns an issue of the file as one of the flag that the value came from."""
    if issue.key_path[0] == "availability_zones":
        return _zone_flag_issue(scaffold, issue)
    name = str(issue.key_path[-1])
    flag = FLAGS[name]
    if issue.problem == "is missing":
        reason = f", but --network is {flag.network}" if flag.network else ""
        problem, remedy = f"is missing{reason}", f"add {flag.option}"
    else:
        problem, remedy = issue.problem, flag.remedy or issue.remedy
    return _issue(name, problem, ALLOWED.get(issue.allowed, issue.allowed), remedy)


def _zone_flag_issue(scaffold: EnvironmentScaffold, issue: ConfigIssue) -> ConfigIssue:
    _, _, zone = issue.at.partition(".")
    if zone:
        value = f"{zone}={dict(scaffold.zones).get(zone, '')}"
        return _issue("zones", issue.problem, issue.allowed, issue.remedy, value)
    supported = ", ".join(SUPPORTED_ZONES.get(scaffold.region or "", ()))
    return _issue(
        "zones",
        "is set only once" if scaffold.zones else "is missing, but --network is VPC",
        f"{issue.allowed}, each as {ZONE_FORMAT}",
        f"{ZONE_REMEDY}{f'; AgentCore supports {supported}' if supported else ''}",
    )
