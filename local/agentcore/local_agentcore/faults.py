"""Faults on order: which calls are to go wrong, and how. The same rules are had in Python, in JSON and by the fixture.

A rule counts the calls that it names and strikes all of them, those with the numbers `calls`, or a share of `rate`, and
at most `times` of them. A share is drawn from the plan's seed for each rule apart, so that the same calls are injected
again, whatever else is called between them.
"""

from __future__ import annotations

import json
import random
from dataclasses import MISSING, asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

Kind = Literal["latency", "throttling", "error", "stream_error", "disconnect", "session_dies", "slow_file"]
Moment = Literal["before", "unanswered", "during", "after"]
ANY = "*"
INVOKE = "InvokeCodeInterpreter"
FILE_TOOLS = ("readFiles", "writeFiles", "listFiles", "removeFiles")
TOOLS = ("executeCode", "executeCommand", *FILE_TOOLS, "startCommandExecution", "getTask", "stopTask")
OPERATIONS = (
    *("CreateCodeInterpreter", "GetCodeInterpreter", "ListCodeInterpreters", "DeleteCodeInterpreter"),
    *("TagResource", "UntagResource", "ListTagsForResource"),
    *("StartCodeInterpreterSession", "GetCodeInterpreterSession", "ListCodeInterpreterSessions"),
    *("StopCodeInterpreterSession", INVOKE),
)
STATUSES = {
    "InternalServerException": 500,
    "ThrottlingException": 429,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "ResourceNotFoundException": 404,
}
"""The errors of both planes' operations, with the HTTP statuses of the model."""
MAX_SECONDS = 86_400.0
MAX_CALLS = 1_000_000


@dataclass(frozen=True)
class _Form:
    """What rules of one kind may say: their members beside those of all rules, the calls and the moments they fit."""

    members: tuple[str, ...]
    on: tuple[str, ...]
    at: tuple[Moment, ...] = ()
    needs_seconds: bool = False


_IN_A_SESSION = (INVOKE, *TOOLS)
FORMS: dict[str, _Form] = {
    "latency": _Form(("seconds",), (*OPERATIONS, *TOOLS), needs_seconds=True),
    "throttling": _Form((), (*OPERATIONS, *TOOLS)),
    "error": _Form(("code", "at"), (*OPERATIONS, *TOOLS), ("before", "after")),
    "stream_error": _Form(("code",), _IN_A_SESSION),
    "disconnect": _Form(("at",), (*OPERATIONS, *TOOLS), ("before", "unanswered", "during", "after")),
    "session_dies": _Form(("seconds",), _IN_A_SESSION),
    "slow_file": _Form(("seconds", "path"), (INVOKE, *FILE_TOOLS), needs_seconds=True),
}
IN_A_SESSION: tuple[Kind, ...] = ("session_dies", "slow_file")
AROUND_A_CALL: tuple[Kind, ...] = ("latency", "throttling", "error", "stream_error", "disconnect")


class FaultPlanError(ValueError):
    """A plan or a rule cannot be; the message says what is wrong and what is allowed."""


@dataclass(frozen=True)
class Rule:
    """One fault, and the calls that it strikes.

    Attributes:
        kind: `latency` waits `seconds` before the call. `throttling` refuses it. `error` fails it with `code`; `at` is
            `before` (nothing is done) or `after` (it is done, and the caller told that it failed). `stream_error` sends
            that error within the stream, in place of the result. `disconnect` ends the TCP connection; `at` is `before`
            (nothing is done), `unanswered` (it is done), `during` (half of the answer was sent) or `after` (all of it,
            but not the end of the stream). `session_dies` ends the session's sandbox `seconds` after the call began.
            `slow_file` delays each file of the call whose path matches `path` by `seconds`.
        on: an operation or a tool, or `*` for every one that the kind fits.
        rate: the share of the calls that is injected, of 0 to 1.
        calls: the numbers of the calls that are injected; 1 is the first after the plan was made.
        times: how many calls are injected at most.
        seconds: of latency, of a slow file, and of a session's last breath, which is 0 unless given.
        at: the moment of an error or a disconnect; `before` unless given.
        code: of the error; InternalServerException, a 500, unless given.
        path: which files are slow, as `*.csv`; all unless given.
    """

    kind: Kind
    on: str = ANY
    rate: float | None = None
    calls: tuple[int, ...] = ()
    times: int | None = None
    seconds: float | None = None
    at: Moment | None = None
    code: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        """Checks it whole.

        Raises:
            FaultPlanError: it cannot be.
        """
        for problem in self._problems():
            raise FaultPlanError(problem)

    def _problems(self) -> Iterator[str]:
        for name in ("kind", "on", "at", "code", "path"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                yield f"{name} is {value!r}; allowed: a text"
                return
        if self.kind not in FORMS:
            yield f"kind is {self.kind!r}; allowed: {' | '.join(FORMS)}"
            return
        form = FORMS[self.kind]
        if self.on not in (ANY, *form.on):
            yield f"on is {self.on!r}; allowed for {self.kind}: {' | '.join((ANY, *form.on))}"
        for name in ("seconds", "at", "code", "path"):
            if getattr(self, name) is not None and name not in form.members:
                yield f"{name} is not a member of {self.kind}, whose own are: {', '.join(form.members) or 'none'}"
        if self.rate is not None and not _is_number(self.rate, 0, 1):
            yield f"rate is {self.rate!r}; allowed: a number from 0 to 1"
        if not _are_counts(self.calls):
            yield f"calls is {self.calls!r}; allowed: the numbers of calls, from 1 on"
        if self.rate is not None and self.calls:
            yield "rate and calls are both given; allowed: one of them, or none for every call"
        if self.times is not None and not _is_count(self.times):
            yield f"times is {self.times!r}; allowed: a whole number from 1 on"
        if (self.seconds is None and form.needs_seconds) or (
            self.seconds is not None and not _is_number(self.seconds, 0, MAX_SECONDS)
        ):
            yield f"seconds is {self.seconds!r}; allowed: a number from 0 to {MAX_SECONDS:g}"
        if self.at is not None and self.at not in form.at:
            yield f"at is {self.at!r}; allowed for {self.kind}: {' | '.join(form.at)}"
        if self.code is not None and self.code not in STATUSES:
            yield f"code is {self.code!r}; allowed: {' | '.join(STATUSES)}"

    @property
    def moment(self) -> Moment:
        """Returns `at`, or its default."""
        return self.at or "before"

    @property
    def error_code(self) -> str:
        """Returns `code`, or its default."""
        return "ThrottlingException" if self.kind == "throttling" else self.code or "InternalServerException"

    def covers(self, operation: str, tool: str | None) -> bool:
        """Whether it counts a call."""
        fits = FORMS[self.kind].on
        return self.on in (operation, tool) or (self.on == ANY and (operation in fits or tool in fits))

    def slows(self, path: str) -> bool:
        """Whether a rule for slow files means this one."""
        return fnmatchcase(path, self.path or ANY)

    def members(self) -> dict[str, Any]:
        """Returns it as JSON values, without what was not given."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}


@dataclass(frozen=True)
class Plan:
    """Rules, and what their shares are drawn from."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def as_json(self) -> bytes:
        """Returns the body of `PUT /_local/faults`."""
        return json.dumps({"seed": self.seed, "rules": [rule.members() for rule in self.rules]}).encode()


def plan_of(body: bytes) -> Plan:
    """Reads a plan: `{"seed": 0, "rules": [{"kind": "latency", "on": "executeCode", "seconds": 2}]}`.

    Raises:
        FaultPlanError: it is none; names the rule by its number.
    """
    try:
        read: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FaultPlanError(f"The plan is not JSON: {error}") from error
    match read:
        case {"rules": [*rules], **others} if others.keys() <= {"seed"}:
            seed: Any = cast("dict[str, Any]", others).get("seed", 0)
        case _:
            raise FaultPlanError('The plan has to be {"seed": N, "rules": [...]}; the seed may be left out')
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultPlanError(f"seed is {seed!r}; allowed: a whole number")
    return Plan(tuple(_rule(number, rule) for number, rule in enumerate(rules, 1)), seed)


def _rule(number: int, members: object) -> Rule:
    names = {member.name for member in fields(Rule)}
    if not isinstance(members, dict):
        raise FaultPlanError(f"Rule {number} is no object of members")
    given = cast("dict[str, Any]", members)
    unknown = given.keys() - names
    if unknown:
        raise FaultPlanError(f"Rule {number}: there is no {min(unknown)!r}; allowed: {', '.join(sorted(names))}")
    missing = [member.name for member in fields(Rule) if member.default is MISSING and member.name not in given]
    if missing:
        raise FaultPlanError(f"Rule {number}: kind is missing; allowed: {' | '.join(FORMS)}")
    calls: Any = given.get("calls", ())
    arguments: dict[str, Any] = {
        **given,
        "calls": tuple(cast("list[Any]", calls)) if isinstance(calls, list) else calls,
    }
    try:
        return Rule(**arguments)
    except FaultPlanError as error:
        raise FaultPlanError(f"Rule {number}: {error}") from error


@dataclass
class _Counted:
    """A rule at work."""

    rule: Rule
    chance: random.Random
    seen: int = 0
    injected: int = 0

    def strikes(self) -> bool:
        """Counts a call. Returns whether it is injected."""
        self.seen += 1
        rule = self.rule
        chosen = self.seen in rule.calls if rule.calls else rule.rate is None or self.chance.random() < rule.rate
        strikes = chosen and (rule.times is None or self.injected < rule.times)
        self.injected += strikes
        return strikes


class Faults:
    """The plan that an emulator follows; none at first."""

    def __init__(self) -> None:
        self._seed = 0
        self._counted: list[_Counted] = []

    def follow(self, plan: Plan) -> None:
        """Takes a plan instead of the one before. All counts begin anew."""
        self._seed = plan.seed
        # Not for secrets: the same seed has to give the same faults.
        chances = [random.Random(f"{plan.seed} {number}") for number in range(len(plan.rules))]  # noqa: S311
        self._counted = [_Counted(rule, chance) for rule, chance in zip(plan.rules, chances, strict=True)]

    def strike(self, kinds: Collection[Kind], operation: str, tool: str | None) -> list[Rule]:
        """Counts a call with the rules of these kinds. Returns those that strike it, in the plan's order."""
        counting = [one for one in self._counted if one.rule.kind in kinds and one.rule.covers(operation, tool)]
        return [one.rule for one in counting if one.strikes()]

    def report(self) -> dict[str, Any]:
        """Returns the plan, and for each rule how many calls it has `seen` and `injected`."""
        rules = [{**one.rule.members(), "seen": one.seen, "injected": one.injected} for one in self._counted]
        return {"seed": self._seed, "rules": rules}


def seconds_of(rules: Iterable[Rule]) -> float:
    """Returns how long rules wait, one after another."""
    return sum(rule.seconds or 0 for rule in rules)


def _is_number(value: object, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _are_counts(value: object) -> bool:
    return isinstance(value, tuple) and all(_is_count(each) for each in cast("tuple[object, ...]", value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CALLS
