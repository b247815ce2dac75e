"""Writes docs/environment.md from the types of `sandpiper.environment`, and the effects of a change of each option."""

from __future__ import annotations

import inspect
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import BaseModel

from sandpiper.environment.account import Budget, Quotas
from sandpiper.environment.alarms import AlarmThresholds, FleetAlarmThresholds
from sandpiper.environment.audit import Audit
from sandpiper.environment.expected_access import ExpectedAccess
from sandpiper.environment.findings import AcceptedFinding
from sandpiper.environment.interpreter import (
    PublicInterpreter,
    S3Access,
    SandboxInterpreter,
    SessionLimits,
    VpcInterpreter,
)
from sandpiper.environment.logs import Logs
from sandpiper.environment.model import Environment
from sandpiper.environment.network import Network
from sandpiper.environment.prices import PriceOptions
from sandpiper.environment.storage import DataBucket, Retention
from sandpiper.environment.subscriptions import AlarmSubscriptions, SlackChannel
from sandpiper.environment.tenant import SessionFunctionOptions, Tenant
from sandpiper.environment.workflows import WorkflowOptions
from sandpiper.plan.effects import EFFECT_TEXTS
from sandpiper.plan.option_effects import effects_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from sandpiper.environment.options import Options

PROJECT = Path(__file__).resolve().parents[1]
COLUMNS = 100
SHORTEST = """\
name: first
account: "111122223333"
region: eu-west-1
owner: platform team
interpreters:
  sandbox:
"""
"""The shortest valid environment file."""

_HEAD = f"""# The environment file

`environments/NAME.yaml` configures one [environment](glossary.md#environment). It is the only file
that a platform engineer edits. Every option has a secure default.

This is a complete file. Save it as `environments/first.yaml`:

```yaml
{SHORTEST}```

`cdk synth -c environment=first` writes its templates. It needs neither network access nor
credentials. Without `-c environment=NAME`, the environment is `local`.

`CDK_VALIDATION=true cdk synth` also runs CloudFormation's validation of every property, which takes
longer.

An invalid file fails synthesis with one line for each issue. A line contains the file and line
number, the option, its value, the allowed values and the remedy. The first 50 issues are listed.

A file has at most 512 KiB, 20,000 keys and values, and 50 levels. An alias or a merge key (`<<`)
counts as all the values that it stands for.

## With tenants

A [tenant](glossary.md#tenant) is a unit of isolation. This file has two:

```yaml
"""

_AFTER = """```

Values are not converted: `"90"` is not a number, and `111122223333` is not an account. An empty
mapping such as `sandbox:` has all defaults.

## Effects of a change

The last column states what a change of an option does, in the worst direction. [`sandpiper
plan`](plan.md) uses the same names for the effects of a specific change.

"""
_EFFECTS = """
*Nothing* means that no resource changes. A replaced resource is named: *replaces VPC* is an effect
of the kind *replaces resources*.
"""

_SECTIONS: tuple[tuple[str, type[Options]], ...] = (
    ("The environment", Environment),
    ("`tenants.NAME`", Tenant),
    ("`interpreters.KEY`", SandboxInterpreter),
    ("`interpreters.KEY` with `network: PUBLIC`", PublicInterpreter),
    ("`interpreters.KEY` with `network: VPC`", VpcInterpreter),
    ("`interpreters.KEY.read` and `write`", S3Access),
    ("`interpreters.KEY.session`", SessionLimits),
    ("`tenants.NAME.session_function`", SessionFunctionOptions),
    ("`tenants.NAME.workflows.WORKFLOW`", WorkflowOptions),
    ("`tenants.NAME.alarms`", AlarmThresholds),
    ("`alarms`", FleetAlarmThresholds),
    ("`network`", Network),
    ("`data_bucket`", DataBucket),
    ("`data_bucket.retention_days`", Retention),
    ("`logs`", Logs),
    ("`audit`", Audit),
    ("`alarm_subscriptions` and `tenant_alarm_subscriptions`", AlarmSubscriptions),
    ("`slack` of `alarm_subscriptions`", SlackChannel),
    ("`budget`", Budget),
    ("`quotas`", Quotas),
    ("`prices`", PriceOptions),
    ("`accepted_findings`", AcceptedFinding),
    ("`expect`", ExpectedAccess),
)


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/environment.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "environment.md"
    file.write_text(page())


def page() -> str:
    """Returns the page."""
    tenants = (PROJECT / "environments" / "dev.yaml").read_text()
    effects = "".join(f"| {effect} | {text} |\n" for effect, text in EFFECT_TEXTS.items())
    table = f"| Effect | Meaning |\n|---|---|\n{effects}"
    return _HEAD + tenants + _AFTER + table + _EFFECTS + "".join(_section(title, model) for title, model in _SECTIONS)


def _section(title: str, model: type[Options]) -> str:
    common = SandboxInterpreter if issubclass(model, PublicInterpreter | VpcInterpreter) else None
    fields = {
        name: field
        for name, field in model.model_fields.items()
        if common is None or name == "network" or name not in common.model_fields
    }
    description = inspect.cleandoc(model.__doc__ or "")
    if common is not None:
        description += " It has these options and those of every interpreter:"
    description = "\n\n".join(map(_wrap, description.split("\n\n")))
    rows = "".join(
        f"| `{name}` | {_default(field)} | {_cell(field.description)} | {_cell(field.title)} | "
        f"{effects_of(model, name).text} |\n"
        for name, field in fields.items()
    )
    head = "| Option | Default | Allowed values | Purpose | A change |\n|---|---|---|---|---|\n"
    return f"\n## {title}\n\n{description}\n\n{head}{rows}"


def _wrap(paragraph: str) -> str:
    return textwrap.fill(paragraph, COLUMNS, break_long_words=False, break_on_hyphens=False)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, BaseModel):
        return "all defaults"
    names: dict[object, str] = {None: "unset", True: "true", False: "false"}
    if default is None or isinstance(default, bool):
        return names[default]
    if default in ((), {}):
        return "none"
    return ", ".join(map(str, cast("dict[str, object]", default))) if isinstance(default, dict) else str(default)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|")


if __name__ == "__main__":
    main()
