"""Fault plans: which calls fail, and how.

The same rules work in Python (`Rule`), in JSON (`parse_plan`) and through the pytest fixture `agentcore_faults`.

A rule counts the calls that it covers. It injects its fault into all of them, into those numbered in `calls`, or into a
share of `rate`, and into no more than `times` calls. Each rule draws its share from the plan's seed independently, so
the same seed selects the same calls whatever other calls and rules there are.
"""

from __future__ import annotations

import json
import random
from dataclasses import MISSING, asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, cast

from .errors import MODEL_STATUSES, InternalServerError, ThrottlingError
from .operations import INVOKE, OPERATIONS
from .tools import FILE_TOOLS, TOOLS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

FaultKind = Literal["latency", "throttling", "error", "stream_error", "disconnect", "session_dies", "slow_file"]
Timing = Literal["before", "unanswered", "during", "after"]
ANY = "*"
MAX_SECONDS = 86_400.0
MAX_CALLS = 1_000_000


@dataclass(frozen=True)
class _RuleSchema:
    """The members of one kind of rule in addition to the common members, and the values of `on` and `at`."""

    members: tuple[str, ...]
    on: tuple[str, ...]
    at: tuple[Timing, ...] = ()
    requires_seconds: bool = False


_ANY_CALL = (*OPERATIONS, *TOOLS)
_SESSION_CALL = (INVOKE, *TOOLS)
RULE_SCHEMAS: dict[str, _RuleSchema] = {
    "latency": _RuleSchema(("seconds",), _ANY_CALL, requires_seconds=True),
    "throttling": _RuleSchema((), _ANY_CALL),
    "error": _RuleSchema(("code", "at"), _ANY_CALL, ("before", "after")),
    "stream_error": _RuleSchema(("code",), _SESSION_CALL),
    "disconnect": _RuleSchema(("at",), _ANY_CALL, ("before", "unanswered", "during", "after")),
    "session_dies": _RuleSchema(("seconds",), _SESSION_CALL),
    "slow_file": _RuleSchema(("seconds", "path"), (INVOKE, *FILE_TOOLS), requires_seconds=True),
}
SESSION_FAULTS: tuple[FaultKind, ...] = ("session_dies", "slow_file")
"""Kinds that act inside a session."""
CALL_FAULTS: tuple[FaultKind, ...] = ("latency", "throttling", "error", "stream_error", "disconnect")
"""Kinds that act on a call's request or response."""


class FaultPlanError(ValueError):
    """A plan or a rule is invalid. The message states the problem and the allowed values."""


@dataclass(frozen=True)
class Rule:
    """One fault and the calls that it affects.

    Example:
        `Rule("disconnect", "executeCode", at="unanswered", times=1)` runs the code of the next executeCode call and
        closes the connection without a response.

    Attributes:
        kind: `latency` waits `seconds` before the call. `throttling` rejects the call. `error` fails the call with
            `code`; `at` is `before` (without effect) or `after` (the call takes effect, and the caller gets an error).
            `stream_error` sends the error within the event stream instead of the result. `disconnect` closes the TCP
            connection; `at` is `before` (without effect), `unanswered` (the call takes effect), `during` (half of the
            response is sent) or `after` (all of the response is sent, but not the end of the stream). `session_dies`
            ends the session's sandbox `seconds` after the call began. `slow_file` delays each file of the call whose
            path matches `path` by `seconds`.
        on: An operation, a tool, or `*` for every operation and tool that the kind supports.
        rate: The share of calls that get the fault, 0 to 1.
        calls: The numbers of the calls that get the fault. 1 is the first call after the plan was set.
        times: The maximum number of calls that get the fault.
        seconds: The delay of `latency`, `slow_file` and `session_dies`. Default for `session_dies`: 0.
        at: When an error or a disconnect happens. Default: `before`.
        code: The error's code. Default: InternalServerException.
        path: The pattern of slow files, for example `*.csv`. Default: all files.
    """

    kind: FaultKind
    on: str = ANY
    rate: float | None = None
    calls: tuple[int, ...] = ()
    times: int | None = None
    seconds: float | None = None
    at: Timing | None = None
    code: str | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        """Validates the rule.

        Raises:
            FaultPlanError: The rule is invalid.
        """
        for problem in self._problems():
            raise FaultPlanError(problem)

    def _problems(self) -> Iterator[str]:
        for name in ("kind", "on", "at", "code", "path"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                yield f"{name} is {value!r}; allowed: a string"
                return
        if self.kind not in RULE_SCHEMAS:
            yield f"kind is {self.kind!r}; allowed: {' | '.join(RULE_SCHEMAS)}"
            return
        schema = RULE_SCHEMAS[self.kind]
        if self.on not in (ANY, *schema.on):
            yield f"on is {self.on!r}; allowed for {self.kind}: {' | '.join((ANY, *schema.on))}"
        for name in ("seconds", "at", "code", "path"):
            if getattr(self, name) is not None and name not in schema.members:
                yield f"{name} is not a member of {self.kind}; allowed: {', '.join(schema.members) or 'none'}"
        if self.rate is not None and not _is_number(self.rate, 0, 1):
            yield f"rate is {self.rate!r}; allowed: a number from 0 to 1"
        if not _are_counts(self.calls):
            yield f"calls is {self.calls!r}; allowed: call numbers from 1"
        if self.rate is not None and self.calls:
            yield "rate and calls are both set; allowed: one of them, or neither for every call"
        if self.times is not None and not _is_count(self.times):
            yield f"times is {self.times!r}; allowed: an integer from 1"
        if (self.seconds is None and schema.requires_seconds) or (
            self.seconds is not None and not _is_number(self.seconds, 0, MAX_SECONDS)
        ):
            yield f"seconds is {self.seconds!r}; allowed: a number from 0 to {MAX_SECONDS:g}"
        if self.at is not None and self.at not in schema.at:
            yield f"at is {self.at!r}; allowed for {self.kind}: {' | '.join(schema.at)}"
        if self.code is not None and self.code not in MODEL_STATUSES:
            yield f"code is {self.code!r}; allowed: {' | '.join(MODEL_STATUSES)}"

    @property
    def timing(self) -> Timing:
        """Returns `at`, or its default."""
        return self.at or "before"

    @property
    def error_code(self) -> str:
        """Returns `code`, or its default."""
        return ThrottlingError.code if self.kind == "throttling" else self.code or InternalServerError.code

    def covers(self, operation: str, tool: str | None) -> bool:
        """Whether the rule counts a call."""
        supported = RULE_SCHEMAS[self.kind].on
        return self.on in (operation, tool) or (self.on == ANY and (operation in supported or tool in supported))

    def matches_path(self, path: str) -> bool:
        """Whether a `slow_file` rule applies to a file."""
        return fnmatchcase(path, self.path or ANY)

    def members(self) -> dict[str, Any]:
        """Returns the members that are set, as JSON values."""
        return {name: value for name, value in asdict(self).items() if value not in (None, ())}


@dataclass(frozen=True)
class Plan:
    """Rules, and the seed of their shares."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def to_json(self) -> bytes:
        """Returns the body of `PUT /_local/faults`."""
        return json.dumps({"seed": self.seed, "rules": [rule.members() for rule in self.rules]}).encode()


def parse_plan(body: bytes) -> Plan:
    """Parses a plan.

    Example:
        `parse_plan(b'{"seed": 0, "rules": [{"kind": "latency", "on": "executeCode", "seconds": 2}]}')`

    Raises:
        FaultPlanError: The plan is invalid. The message names the rule by its number.
    """
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FaultPlanError(f"The plan is not JSON: {error}") from error
    match document:
        case {"rules": [*rules], **others} if others.keys() <= {"seed"}:
            seed: Any = cast("dict[str, Any]", others).get("seed", 0)
        case _:
            raise FaultPlanError('The plan is not of the form {"seed": N, "rules": [...]}; the seed is optional')
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultPlanError(f"seed is {seed!r}; allowed: an integer")
    return Plan(tuple(_parse_rule(number, rule) for number, rule in enumerate(rules, 1)), seed)


def _parse_rule(number: int, document: object) -> Rule:
    names = {member.name for member in fields(Rule)}
    if not isinstance(document, dict):
        raise FaultPlanError(f"Rule {number} is not an object")
    members = cast("dict[str, Any]", document)
    unknown = members.keys() - names
    if unknown:
        raise FaultPlanError(f"Rule {number}: {min(unknown)!r} is unknown; allowed: {', '.join(sorted(names))}")
    missing = [member.name for member in fields(Rule) if member.default is MISSING and member.name not in members]
    if missing:
        raise FaultPlanError(f"Rule {number}: kind is missing; allowed: {' | '.join(RULE_SCHEMAS)}")
    calls: Any = members.get("calls", ())
    calls = tuple(cast("list[Any]", calls)) if isinstance(calls, list) else calls
    try:
        return Rule(**{**members, "calls": calls})
    except FaultPlanError as error:
        raise FaultPlanError(f"Rule {number}: {error}") from error


@dataclass
class _RuleCounter:
    """An active rule with its counts."""

    rule: Rule
    generator: random.Random
    seen: int = 0
    injected: int = 0

    def select(self) -> bool:
        """Counts a call. Returns whether the call gets the fault."""
        self.seen += 1
        rule = self.rule
        chosen = self.seen in rule.calls if rule.calls else rule.rate is None or self.generator.random() < rule.rate
        selected = chosen and (rule.times is None or self.injected < rule.times)
        self.injected += selected
        return selected


class Faults:
    """The active fault plan of an emulator. Empty at first."""

    def __init__(self) -> None:
        self._seed = 0
        self._counters: list[_RuleCounter] = []

    def set_plan(self, plan: Plan) -> None:
        """Replaces the plan and resets all counts."""
        self._seed = plan.seed
        # Not for secrets: the same seed must select the same faults.
        randoms = [random.Random(f"{plan.seed} {number}") for number in range(len(plan.rules))]  # noqa: S311
        self._counters = [_RuleCounter(rule, source) for rule, source in zip(plan.rules, randoms, strict=True)]

    def select(self, kinds: Collection[FaultKind], operation: str, tool: str | None) -> list[Rule]:
        """Counts a call with the rules of these kinds. Returns the rules to inject, in the plan's order."""
        covering = [
            counter for counter in self._counters if counter.rule.kind in kinds and counter.rule.covers(operation, tool)
        ]
        return [counter.rule for counter in covering if counter.select()]

    def report(self) -> dict[str, Any]:
        """Returns the plan, and for each rule how many calls it has `seen` and `injected`."""
        rules = [
            {**counter.rule.members(), "seen": counter.seen, "injected": counter.injected} for counter in self._counters
        ]
        return {"seed": self._seed, "rules": rules}


def total_seconds(rules: Iterable[Rule]) -> float:
    """Returns the sum of the rules' delays."""
    return sum(rule.seconds or 0 for rule in rules)


def _is_number(value: object, minimum: float, maximum: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and minimum <= value <= maximum


def _are_counts(value: object) -> bool:
    return isinstance(value, tuple) and all(_is_count(each) for each in cast("tuple[object, ...]", value))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_CALLS
