"""Writes docs/alarms.md from the table of alarms in `sandpiper_constructs.alarm_table`."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from pathlib import Path

from sandpiper_constructs.alarm_table import COMPOSITES, ROWS, AlarmRow, AlarmStack, CompositeRow
from sandpiper_contract.errors import AUTHOR_FAULTS

PROJECT = Path(__file__).resolve().parents[1]
USD_A_MONTH = 0.10
"""The price of an alarm on one metric in us-east-1. https://aws.amazon.com/cloudwatch/pricing/"""
COMPOSITE_USD_A_MONTH = 0.50
"""The price of a composite alarm. Same source."""
_PREFIXES = {
    AlarmStack.TENANT: "sandpiper-ENV-TENANT",
    AlarmStack.FLEET: "sandpiper-ENV-fleet",
    AlarmStack.NETWORK: "sandpiper-ENV-network",
}
_HEAD = """# Alarms

Each tenant, the [fleet](glossary.md#fleet) and the network of an environment have alarms. They
notify an SNS topic when they start and when they end. Without a topic, they are visible in
CloudWatch, on the dashboards and in `sandpiper status`. The description of an alarm names the team
that it is for and its runbook.

The team decides the topic, so that faults of the platform and faults of a tenant notify different
people:

- Alarms for the platform team and the security team notify `alarm_topic_arn`.
- Alarms for the owner of a tenant notify `tenants.NAME.alarm_topic_arn`, or else
  `tenant_alarm_topic_arn`, or else `alarm_topic_arn`.

Instead of the ARN of a topic, `alarm_subscriptions` and `tenant_alarm_subscriptions` list
recipients. [Recipients](#recipients) describes them.

An alarm triggers when its metric is at least the threshold in one period. Options of the
[environment file](environment.md#tenantsnamealarms) set the thresholds.

| Alarm | Metric | Threshold | Period | Meaning | For | Runbook |
|---|---|---|---|---|---|---|
"""
_COMPOSITES = """
## Alarms with a common cause

One cause often triggers several alarms, such as `errors` and `throttles`. A [composite
alarm](glossary.md#composite-alarm) is in the state `ALARM` while any alarm of its group is, and
only it notifies the topic. So one cause notifies once, when the first alarm starts, and again when
the last one ends. The notification names the alarm that started in `TriggeringChildren`; `sandpiper
alarms` shows the state of each. Alarms without a common cause, such as `access-denied`, notify by
themselves: a group in the state `ALARM` would hide them.

A composite alarm and its alarms have the same team and are in the same stack. `quota-pressure`
warns before a quota is reached, and `throttling` notifies when it is, so that a growing load
notifies twice.

| Composite alarm | Alarms | Meaning | For | Runbook |
|---|---|---|---|---|
"""
_TAIL = """
## List and test

```sh
sandpiper alarms -e prod
sandpiper alarms test claims-throttles -e prod
```

`sandpiper alarms` lists the alarms with their state, threshold and runbook, those in the state
`ALARM` first. It requires `cloudwatch:DescribeAlarms`. `--json` also prints the reason that
CloudWatch states, and the topics.

`sandpiper alarms test` sets an alarm to `ALARM` and back, so that its topic is notified as for a
fault. The notification states that it is a test. Without a name, the first alarm with a topic is
used. It requires `cloudwatch:SetAlarmState`.

## Recipients

```yaml
alarm_subscriptions:
  emails: [oncall@example.com]
  https: [https://events.pagerduty.com/integration/KEY/enqueue]
  slack: {{workspace: T0123ABCD, channel: C0123ABCD}}
tenant_alarm_subscriptions:
  emails: [owners@example.com]
```

The fleet stack creates a topic for each of the two options. A new KMS key, which is rotated
every year, encrypts the topics. Only alarms of this account can publish to them: the
policies of the topic and of the key allow CloudWatch to, and nothing else. A topic that exists
already is named by `alarm_topic_arn` instead; setting both options is an error.

An `emails` recipient opens the link in a message from AWS within three days.

For `https` to PagerDuty, add the integration *Amazon CloudWatch* to a service and use its URL.
PagerDuty confirms the subscription by itself. The URL is part of the template, so everyone who can
read the stack can read the key in it.

For `slack`, authorize the workspace once in the console of Amazon Q Developer in chat applications
(AWS Chatbot), and invite the app to a private channel.

The role of the channel has no permissions and its guardrail denies everything, so members of the
channel see notifications and cannot run commands. The notifications have no graphs.
`sandpiper alarms test` checks the path to each recipient. Approvals of `run-session` are not sent
to these topics; set `approval_topic_arn` for them.

## Faults of authors

The alarm `errors` does not count executions that failed with {faults}. Their author corrects
them, or a person did not approve a step of `run-session`.
The dashboard of the tenant shows all failed runs by the name of the error. The alarm counts the
events that an EventBridge rule of the tenant matches, because `ExecutionsFailed` has no dimension
for the error. Failures of `run-code-express` are all counted, with the metric `ExecutionsFailed`,
because Step Functions sends no events of Express executions.

The alarms `errors`, `timed-out` and `aborted` are those of `run-code`. Each further workflow of the tenant
has its own, such as `errors-run-command`. `run-code-express` has no alarm `aborted`, because its
executions cannot be stopped. The other alarms of a tenant include the calls of custom workflows.

`StorageError` is counted, because its cause may be the bucket, its key or a permission. An author
who names an input that does not exist causes it, too. An interpreter that was deleted by hand causes
`InterpreterNotFound`, which is not counted: `sandpiper status` reports it.

## Workflows of authors

State machines that authors write call the session function of their tenant, so the alarms
`throttles`, `sessions-not-stopped`, `access-denied`, `duplicate-executions`, `skipped-files`,
`daily-spend`, `near-deadline` and `latency` include their runs. Their failed executions are not
counted by `errors`: a template does not know which state machines use the function, because the
permission is part of the role of the author's state machine. An author adds `errors`, `timed-out`
and `aborted` of this state machine in its own app, with the construct `WorkflowAlarms`:

```python
WorkflowAlarms(stack, "NightlyAlarms", name_prefix="nightly", state_machine_arn=arn)
```

`errors` then counts the failures that its author cannot correct, as for other workflows.

## Limits of the alarms on latency and spend

`latency` watches the default interpreter, which is a sample: an alarm with an expected range costs
three times as much as another. It needs data of about three days before it can trigger.
`daily-spend` counts what the session function estimates. Sessions of callers that use an
interpreter directly are part of the [budget](environment.md#budget) only.

## Cost

CloudWatch bills ${price:.2f} a month for each alarm, three times that for `latency`, and ${composite:.2f} for a
composite alarm, so ${tenant:.2f} for a tenant with `run-code` alone
(${further:.2f} more
for each further workflow, ${express:.2f} for `run-code-express`), ${fleet:.2f} for
the fleet and ${network:.2f} for a network. The alarms on calls and `throttles` of the fleet cost that for each metric
that their query reads. [Metrics](metrics.md#cost) states the cost of custom metrics, and [Costs](costs.md) that of
runs.
"""


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/alarms.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "alarms.md"
    file.write_text(page())


def page() -> str:
    """Returns the page."""
    cost = {stack.value: count * USD_A_MONTH for stack, count in Counter(row.stack for row in ROWS).items()}
    composites = Counter(row.stack for row in COMPOSITES)
    for stack, count in composites.items():
        cost[stack.value] += count * COMPOSITE_USD_A_MONTH
    cost["tenant"] += 2 * USD_A_MONTH  # an expected range is billed as two further metrics
    faults = ", ".join(f"`{name}`" for name in AUTHOR_FAULTS[:-1]) + f" or `{AUTHOR_FAULTS[-1]}`"
    cost |= {
        "price": USD_A_MONTH,
        "composite": COMPOSITE_USD_A_MONTH,
        "further": 3 * USD_A_MONTH,
        "express": 2 * USD_A_MONTH,
    }
    tail = _wrapped(_TAIL.format(faults=faults, **cost))
    return _HEAD + "".join(map(_row, ROWS)) + _COMPOSITES + "".join(map(_composite_row, COMPOSITES)) + tail


def _composite_row(row: CompositeRow) -> str:
    members = ", ".join(f"`{each.name}`" for each in ROWS if each.group == row.name)
    link = f"[{row.name}](runbooks/{row.name}.md)"
    return f"| `{_PREFIXES[row.stack]}-{row.name}` | {members} | {row.meaning} | {row.team.value} | {link} |\n"


def _row(row: AlarmRow) -> str:
    option = f", `{row.option}`" if row.option else ""
    name = f"`{_PREFIXES[row.stack]}-{row.name}`"
    runbook = Path(row.runbook_path)
    link = f"[{runbook.stem}](runbooks/{runbook.name})"
    cells = (name, f"`{row.metric}`", f"{row.threshold}{option}", row.period, row.meaning, row.team.value, link)
    return f"| {' | '.join(cells)} |\n"


def _wrapped(text: str) -> str:
    """Wraps the lines of paragraphs, whose length depends on the values in them. Keeps tables and code."""
    return (
        "\n\n".join(
            paragraph
            if paragraph.lstrip().startswith(("|", "#", "```"))
            else textwrap.fill(paragraph, 100, break_on_hyphens=False)
            for paragraph in text.rstrip("\n").split("\n\n")
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
