"""`sandpiper demo`: from nothing to a chart in S3, through the templates and the bundle that go to AWS."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local_aws import control, environment
from local_aws.lock import try_lock
from local_aws.settings import StateDirectory
from sandpiper.cdk_cli import PROJECT, cdk
from sandpiper.cli.output import failures_as_messages, human_time, notes, print_files, print_skipped, report
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_aws.running_instance import RunningInstance
    from sandpiper.environment import Environment
    from sandpiper.workflow import Finished

STATE = StateDirectory(Path(), "demo")
EXAMPLES = ("claims_total", "bar_chart", "csv_report")
NEXT = """[bold]Next[/]
  export PATH="$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH"
  sandpiper local start                     the embedded AWS, to stay
  eval "$(sandpiper local env)"             boto3, the AWS CLI and the CDK CLI use it from now on
  cdk bootstrap && cdk deploy --all --require-approval never
                                            what the demo deployed: environments/local.yaml
  sandpiper run examples/bar_chart.py       your own code, through the same workflow
  cdk synth -c environment=dev              the same for an AWS account: environments/dev.yaml"""


@dataclass
class Phases:
    """Says what goes on, and how long each phase took."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def phase(self, name: str) -> Generator[Callable[[str], None]]:
        """One phase; what it yields shows a line of detail while the phase goes on."""
        begun = time.monotonic()
        with notes.status(name) as status:
            yield lambda detail: status.update(f"{name}: {detail[:100].replace('[', '(')}")
        self.seconds[name] = time.monotonic() - begun
        notes.print(f"[green]✓[/] {name} [dim]{self.seconds[name]:.1f} s[/]")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files that the examples leave.", metavar="DIR")] = Path(
        "out"
    ),
) -> None:
    """Deploy environments/local.yaml to an embedded AWS, run three examples through it, and stop it again."""
    with failures_as_messages(), _alone():
        begun = time.monotonic()
        tenant = next(iter(_environment().all_tenants))
        phases = Phases()
        try:
            with phases.phase("embedded AWS ready"):
                control.stop(STATE)  # of a demo that was killed
                running, _ = control.start(STATE)
                environment.apply(running)
            if not (sandbox := control.health(running)["sandbox"])["available"]:
                raise CliError(f"no code can run: {sandbox['reason']}. {sandbox['fix'] or ''}")
            _deploy(running, phases)
            finished = _run_examples(tenant, out, phases)
        finally:
            control.stop(STATE)
        for name, result in finished.items():
            took = human_time(result.result["executionTimeMs"])
            report.print(f"\n[bold]examples/{name}.py[/]  exit code {result.exit_code}, {took}")
            report.print(result.result["stdout"] + result.result["stderr"], markup=False)
        report.print()
        print_files(report, [file for result in finished.values() for file in result.files])
        for result in finished.values():
            print_skipped(report, result.result)
        seconds = time.monotonic() - begun
        report.print(f"\ndone in {seconds:.1f} s; the embedded AWS is stopped\n\n{NEXT}", soft_wrap=True)
        if problems := [problem for result in finished.values() for problem in result.problems]:
            raise CliError("\n".join(problems))
        if any(result.exit_code for result in finished.values()):
            raise CliError("an example failed; what it printed is above")


@contextmanager
def _alone() -> Generator[None]:
    """Raises CliError while another demo runs in this folder: they would stop each other's embedded AWS."""
    control.prepare_state_directory(STATE)
    with (STATE.path / "demo.lock").open("w") as lock:
        if not try_lock(lock):
            raise CliError("a demo runs in this folder already: wait for it, or run this one in another folder")
        yield


def _environment() -> Environment:
    """What will be deployed; a file that cannot be is refused here, before anything is started."""
    from sandpiper.environment import load

    return load(PROJECT / "environments" / "local.yaml")


def _deploy(running: RunningInstance, phases: Phases) -> None:
    with phases.phase("cdk bootstrap") as detail:
        # Not in the project: there the CLI would synthesise the app first, which bootstrapping does not need.
        cdk(["bootstrap", f"aws://{running.account}/{running.region}"], STATE.path, detail)
    with phases.phase("cdk deploy") as detail:
        output = (STATE.path / "cdk.out").resolve()
        chosen = ["--all", "--context", "environment=local", "--output", str(output)]
        cdk(["deploy", *chosen, "--require-approval", "never"], PROJECT, detail)


def _run_examples(tenant: str, out: Path, phases: Phases) -> dict[str, Finished]:
    import boto3

    from sandpiper import deployment, workflow

    session = boto3.Session()
    place = deployment.find(session, "local", tenant)
    finished: dict[str, Finished] = {}
    for name in EXAMPLES:
        with phases.phase(f"examples/{name}.py") as detail:
            request: dict[str, object] = {"code": (PROJECT / "examples" / f"{name}.py").read_text()}
            finished[name] = workflow.run(session, place, request, [], out, detail)
    return finished
