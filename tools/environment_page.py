"""Writes docs/environment.md from the types of `sandpiper.environment`: each option, its default, what is allowed."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from sandpiper.environment.interpreter import (
    PublicInterpreter,
    S3Access,
    SandboxInterpreter,
    SessionLimits,
    VpcInterpreter,
)
from sandpiper.environment.model import (
    AcceptedFinding,
    AlarmThresholds,
    Budget,
    Environment,
    Logs,
    Quotas,
    SessionFunctionOptions,
    Tenant,
)
from sandpiper.environment.network import Network
from sandpiper.environment.storage import DataBucket, Retention

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

PROJECT = Path(__file__).resolve().parents[1]
SHORTEST = """\
name: first
account: "111122223333"
region: eu-west-1
owner: platform team
interpreters:
  sandbox:
"""
"""The least that an environment needs."""

_HEAD = f"""# The environment file

`environments/NAME.yaml` is all that a platform engineer edits. Every option has the default that a security reviewer
would choose. This is a whole file, saved as `environments/first.yaml`; `cdk synth -c environment=first` makes templates
of it, without a network or credentials:

```yaml
{SHORTEST}```

Without `-c environment=NAME` it is `local`. `CDK_VALIDATION=true cdk synth` has CloudFormation's validation of every
property, too, which takes longer.

What is wrong with a file is told before anything is synthesised, all of it at once, a line for each: the file and its
line, the place, what is there, what is allowed, what to do.

## With tenants

```yaml
"""

_AFTER = """```

Nothing is converted: `"90"` is no number and `111122223333` no account. An empty mapping (`sandbox:`) has all of its
defaults.
"""

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The environment", Environment),
    ("`tenants.NAME`", Tenant),
    ("`interpreters.KEY`", SandboxInterpreter),
    ("`interpreters.KEY` with `network: PUBLIC`", PublicInterpreter),
    ("`interpreters.KEY` with `network: VPC`", VpcInterpreter),
    ("`interpreters.KEY.read` and `write`", S3Access),
    ("`interpreters.KEY.session`", SessionLimits),
    ("`tenants.NAME.session_function`", SessionFunctionOptions),
    ("`tenants.NAME.alarms`", AlarmThresholds),
    ("`network`", Network),
    ("`data_bucket`", DataBucket),
    ("`data_bucket.retention_days`", Retention),
    ("`logs`", Logs),
    ("`budget`", Budget),
    ("`quotas`", Quotas),
    ("`accepted_findings`", AcceptedFinding),
)


def main() -> None:
    """Writes the page into the file that is named, or to docs/environment.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "environment.md"
    file.write_text(page())


def page() -> str:
    """The whole page."""
    tenants = (PROJECT / "environments" / "dev.yaml").read_text()
    return _HEAD + tenants + _AFTER + "".join(_section(title, model) for title, model in _SECTIONS)


def _section(title: str, model: type[BaseModel]) -> str:
    common = SandboxInterpreter if issubclass(model, PublicInterpreter | VpcInterpreter) else None
    fields = {
        name: field
        for name, field in model.model_fields.items()
        if common is None or name == "network" or name not in common.model_fields
    }
    about = inspect.cleandoc(model.__doc__ or "")
    if common is not None:
        about += " Beside what every interpreter has:"
    rows = "".join(
        f"| `{name}` | {_default(field)} | {_cell(field.description)} | {_cell(field.title)} |\n"
        for name, field in fields.items()
    )
    return f"\n## {title}\n\n{about}\n\n| Option | Default | Allowed | What it is for |\n|---|---|---|---|\n{rows}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.default
    if isinstance(default, BaseModel):
        return "all of its defaults"
    words: dict[object, str] = {None: "unset", True: "true", False: "false"}
    if default is None or isinstance(default, bool):
        return words[default]
    return str(default) if default not in ((), {}) else "none"


def _cell(text: str | None) -> str:
    return (text or "").replace("|", r"\|")


if __name__ == "__main__":
    main()
