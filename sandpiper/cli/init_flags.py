"""What is wrong with the flags of `sandpiper init`: the file's rules, told of flags, since no file is there yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.environment.errors import InvalidEnvironment, shown
from sandpiper.environment.file import from_text
from sandpiper.environment.model import Environment
from sandpiper.environment.scaffold import NETWORKS, FirstFile
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import Problem

ZONE = "NAME=ID, such as eu-west-1a=euw1-az1"
LOOK_UP = "look them up: `aws ec2 describe-availability-zones`"


@dataclass(frozen=True)
class Flag:
    """A flag; `network` is the one that has a use for it, `remedy` is there where a file's would not fit."""

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
    "expires": Flag("--expires", "PUBLIC", remedy="say a day as YYYY-MM-DD, today or later"),
    "zones": Flag("--zone", "VPC"),
    "s3_prefix_list": Flag(
        "--s3-prefix-list", "VPC", remedy="look it up: `aws ec2 describe-managed-prefix-lists --region REGION`"
    ),
    "output": Flag("--output"),
}
"""By what they say of the first file, in the order in which they are told of."""
ALLOWED = {
    Environment.model_fields["name"].description: "at most 20 of a-z 0-9, a letter first",
    Environment.model_fields["account"].description: "12 digits",
}
"""What a flag allows where a file has to be told more."""


@dataclass(frozen=True)
class Refusal:
    """Why a flag is refused; `value` is what it was given, where it may be given more than once."""

    about: str
    problem: str
    allowed: str
    remedy: str
    value: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether an answer would do."""
        return self.problem.startswith("is missing")

    def __str__(self) -> str:
        flag = f"{FLAGS[self.about].option} {self.value}".rstrip()
        return f"{flag} {self.problem}; allowed: {self.allowed}; {self.remedy}"


def refusals(wanted: FirstFile, output: Path | None) -> list[Refusal]:
    """All that is wrong, in the order of FLAGS."""
    network = wanted.network or "SANDBOX"
    found = [*_of_another_network(wanted, network), *_zones(wanted, network), *_file(wanted, output)]
    told = {one.about for one in found}
    # Zones that cannot be read are told as such. The rest is judged without them.
    read = replace(wanted, zones=tuple(dict(filter(all, wanted.zones)).items()))
    found += [one for one in _of_the_file(read) if one.about not in told or one.value]
    order = list(FLAGS)
    return sorted(found, key=lambda one: order.index(one.about))


def default_file(name: str) -> Path:
    """Where the file lies unless --output says."""
    return Path("environments", f"{name}.yaml")


def _of_another_network(wanted: FirstFile, network: str) -> Iterator[Refusal]:
    if network not in NETWORKS:
        return
    beside = f"with --network {network}" if wanted.network else "without --network"
    for about, flag in FLAGS.items():
        if not flag.network or flag.network == network or getattr(wanted, about) in (None, ()):
            continue
        given = getattr(wanted, about) if about != "zones" else ",".join(map(_pair, wanted.zones))
        yield Refusal(
            about,
            f"is {shown(given)}, {beside}",
            f"with --network {flag.network} alone",
            f"take it out, or say --network {flag.network}",
        )


def _zones(wanted: FirstFile, network: str) -> Iterator[Refusal]:
    """What a file could not even say."""
    if network != "VPC":
        return
    for name, zone in wanted.zones:
        if not name or not zone:
            yield Refusal("zones", f"is {shown(_pair((name, zone)))}", ZONE, LOOK_UP)
    for name, times in Counter(name for name, _ in wanted.zones).items():
        if times > 1:
            yield Refusal("zones", f"has {shown(name)} {times} times", "each zone once", LOOK_UP)


def _pair(zone: tuple[str, str]) -> str:
    return "=".join(filter(None, zone))


def _file(wanted: FirstFile, output: Path | None) -> Iterator[Refusal]:
    if output is None:
        if wanted.name and default_file(wanted.name).exists():
            yield Refusal(
                "name",
                f"is {shown(wanted.name)}, and {default_file(wanted.name)} is there already and stays as it is",
                "a name that no file there has",
                "choose another --name or --output",
            )
        return
    called = f"{wanted.name or 'NAME'}.yaml"
    if output.name != called and (wanted.name or output.suffix != ".yaml"):
        problem, allowed = f"is {shown(str(output))}", f"a file that is called {called}, as --name is"
        instead = output / called if output.is_dir() else output.with_name(called)
        yield Refusal("output", problem, allowed, f"say --output {instead}, or another --name")
    elif not output.parent.is_dir():
        problem, allowed = f"is {shown(str(output))}, and there is no folder {output.parent}", "a folder that is there"
        yield Refusal("output", problem, allowed, f"make it (`mkdir -p {output.parent}`), or choose another --output")
    elif output.exists():
        problem = f"is {shown(str(output))}, which is there already and stays as it is"
        yield Refusal("output", problem, "a file that is not there", "choose another --output")


def _of_the_file(wanted: FirstFile) -> Iterator[Refusal]:
    """What is wrong with the file that the flags would make, once for each flag or zone."""
    try:
        from_text(wanted.text(), Path(f"{wanted.name}.yaml"))
    except InvalidEnvironment as error:
        yield from {(one.about, one.value): one for one in reversed([*_told(wanted, error.problems)])}.values()


def _told(wanted: FirstFile, problems: tuple[Problem, ...]) -> Iterator[Refusal]:
    for problem in problems:
        top, _, zone = problem.at.partition(".")
        if top == "availability_zones":
            yield _told_of_zones(wanted, problem, zone)
            continue
        about = problem.at.rpartition(".")[2]
        flag = FLAGS[about]
        allowed = ALLOWED.get(problem.allowed, problem.allowed)
        one = Refusal(about, problem.problem, allowed, flag.remedy or problem.remedy)
        if one.problem == "is missing":
            because = f", since --network is {flag.network}" if flag.network else ""
            one = replace(one, problem=f"is missing{because}", remedy=f"add {flag.option}")
        yield one


def _told_of_zones(wanted: FirstFile, problem: Problem, zone: str) -> Refusal:
    if zone:
        value = f"{zone}={dict(wanted.zones).get(zone, '')}"
        return Refusal("zones", problem.problem, problem.allowed, problem.remedy, value)
    number = len(wanted.zones)
    supported = ", ".join(SUPPORTED_ZONES.get(wanted.region or "", ()))
    return Refusal(
        "zones",
        "is given once" if number else "is missing, since --network is VPC",
        f"{problem.allowed}, each as {ZONE}",
        f"{LOOK_UP}{f'; AgentCore supports {supported}' if supported else ''}",
    )
