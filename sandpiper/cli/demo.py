"""`sandpiper demo`: deploy to an embedded AWS and run examples, with the same templates and bundle as on AWS."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local_aws import control, environment
from local_aws.lock import try_lock
from local_aws.settings import StateDirectory
from sandpiper.cdk_cli import PROJECT, cdk, running_cdk
from sandpiper.cli.output import (
    errors_as_messages,
    human_time,
    notes,
    print_files,
    print_skipped,
    progress,
    report,
    styled,
    write_text,
)
from sandpiper.cli.runs.batch_tables import print_failures, print_summary
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    import boto3
    from rich.console import Console

    from local_aws.running_instance import RunningInstance
    from sandpiper.cdk_cli import CdkCommand
    from sandpiper.deployment import Deployment
    from sandpiper.environment import Environment
    from sandpiper.runs.batches import FailedItem
    from sandpiper.runs.files import DownloadedRun
    from sandpiper.workflow import FinishedRun

STATE = StateDirectory(Path(), "demo")
ASSEMBLY = STATE.path / "cdk.out"
PREVIEWED_MINUTES = 15
EXAMPLES = ("claims_total", "bar_chart", "csv_report")
BATCH_PROGRAM, BATCH_ITEMS = "examples/claim_reserve.py", "examples/claims.jsonl"
ITEMS_PER_SESSION = 3
"""The batch then has seven sessions, which run at the same time."""
NEXT = """
  export PATH="$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH"
  sandpiper local start                     start the embedded AWS and keep it running
  eval "$(sandpiper local env)"             use it with boto3, the AWS CLI and the CDK CLI
  cdk bootstrap && cdk deploy --all --require-approval never
                                            deploy environments/local.yaml, as the demo did
  sandpiper run examples/bar_chart.py       run your own code through the same workflow
  cdk synth -c environment=dev              synthesize environments/dev.yaml for an AWS account"""


@dataclass
class Phases:
    """Prints each phase and how long it took."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def phase(self, name: str) -> Generator[Callable[[str], None]]:
        """Runs a phase. Yields a function that shows a line of detail until the phase ends."""
        started = time.monotonic()
        with progress(name) as show:
            yield lambda detail: show(f"{name}: {detail[:100]}")
        self.seconds[name] = time.monotonic() - started
        notes.print(styled(("✓", "green"), f" {name} ", (f"{self.seconds[name]:.1f} s", "dim")))


def demo(
    out: Annotated[Path, typer.Option(help="Write the files of the examples to this folder.", metavar="DIR")] = Path(
        "out"
    ),
) -> None:
    """Deploy environments/local.yaml to an embedded AWS, run examples and a batch, draw dashboards, and review."""
    with errors_as_messages(), _exclusive():
        started = time.monotonic()
        tenant = next(iter(_environment().all_tenants))
        phases = Phases()
        try:
            with _running_synthesis() as synthesis:
                with phases.phase("embedded AWS ready"):
                    control.stop(STATE)  # from a demo that was killed
                    running, _ = control.start(STATE)
                    environment.apply(running)
                if not (sandbox := control.health(running)["sandbox"])["available"]:
                    raise CliError(f"no code can run: {sandbox['reason']}. {sandbox['fix'] or ''}")
                _bootstrap(running, phases)
                with phases.phase("cdk synth") as detail:
                    synthesis.wait(detail)
            with ThreadPoolExecutor(1) as executor:
                reviewed = executor.submit(_review, out)  # needs only the assembly
                _deploy(phases)
                finished, batch = _run_examples(tenant, out, phases)
                dashboards = _preview(out, phases)
                with phases.phase("review"):
                    review = reviewed.result()
        finally:
            control.stop(STATE)
        for name, result in finished.items():
            duration = human_time(result.result["executionTimeMs"])
            report.print(styled("\n", (f"examples/{name}.py", "bold"), f"  exit code {result.exit_code}, {duration}"))
            report.print(result.result["stdout"] + result.result["stderr"])
        print_batch(report, batch)
        report.print()
        print_files(report, [file for result in finished.values() for file in result.files])
        print_files(report, batch.run.files)
        for result in finished.values():
            print_skipped(report, result.result)
        report.print(styled("\n", ("dashboards", "bold"), f" of the demo's own numbers: {dashboards}"), soft_wrap=True)
        report.print(styled(("review", "bold"), f" for a security reviewer: {review}"), soft_wrap=True)
        seconds = time.monotonic() - started
        done = f"\ndone in {seconds:.1f} s; the embedded AWS is stopped\n\n"
        report.print(styled(done, ("Next", "bold"), NEXT), soft_wrap=True)
        problems = [problem for result in finished.values() for problem in result.problems] + batch.run.problems
        if problems:
            raise CliError("\n".join(problems))
        if any(result.exit_code for result in finished.values()):
            raise CliError("an example failed; its output is above")


@contextmanager
def _exclusive() -> Generator[None]:
    """Raises CliError when another demo runs in this folder, because each would stop the other's embedded AWS."""
    control.prepare_state_directory(STATE)
    with (STATE.path / "demo.lock").open("w") as lock:
        if not try_lock(lock):
            raise CliError("another demo runs in this folder: wait until it ends, or use another folder")
        yield


def _environment() -> Environment:
    """Returns the environment to deploy. An invalid file raises before anything is started."""
    from sandpiper.environment import load

    return load(PROJECT / "environments" / "local.yaml")


def _running_synthesis() -> AbstractContextManager[CdkCommand]:
    """Synthesizes the app while the embedded AWS starts: neither needs the other, and each uses one core."""
    options = ["--quiet", "--context", "environment=local", "--output", str(ASSEMBLY.resolve())]
    return running_cdk(["synth", *options], PROJECT)


def _bootstrap(running: RunningInstance, phases: Phases) -> None:
    with phases.phase("cdk bootstrap") as detail:
        # Not in the project folder, where the CLI would synthesize the app first, which bootstrapping does not need.
        cdk(["bootstrap", f"aws://{running.account}/{running.region}"], STATE.path, detail)


def _deploy(phases: Phases) -> None:
    with phases.phase("cdk deploy") as detail:
        # A new account has nothing to compare with: without a change set, each stack takes one call less.
        options = ["--all", "--method", "direct", "--require-approval", "never"]
        cdk(["deploy", "--app", str(ASSEMBLY.resolve()), *options], PROJECT, detail)


@dataclass
class FinishedBatch:
    """A batch with its saved results, and its first failed items."""

    run: DownloadedRun
    failed: list[FailedItem]


def _run_examples(tenant: str, out: Path, phases: Phases) -> tuple[dict[str, FinishedRun], FinishedBatch]:
    """Runs the examples. The batch runs at the same time, because its calls are paced and it mostly waits."""
    import boto3

    from sandpiper import deployment, workflow
    from sandpiper.batch import start_batch
    from sandpiper.batch_items import items_source

    session = boto3.Session()
    tenant_deployment = deployment.find(session, "local", tenant)
    program: dict[str, object] = {
        "code": (PROJECT / BATCH_PROGRAM).read_text(),
        "failOnError": True,
        "outputs": {"paths": []},
    }
    batch_request = {"request": program, "itemsPerSession": ITEMS_PER_SESSION}
    with phases.phase("batch started") as detail:
        items = items_source(str(PROJECT / BATCH_ITEMS), None)
        execution = start_batch(session, tenant_deployment, batch_request, items, [], detail)
    finished: dict[str, FinishedRun] = {}
    for name in EXAMPLES:
        with phases.phase(f"examples/{name}.py") as detail:
            request: dict[str, object] = {"code": (PROJECT / "examples" / f"{name}.py").read_text()}
            finished[name] = workflow.run(session, tenant_deployment, request, [], out, detail)
    with phases.phase(BATCH_PROGRAM) as detail:
        batch = _finish_batch(session, tenant_deployment, execution, out, detail)
    return finished, batch


def _finish_batch(
    session: boto3.Session, target: Deployment, execution: str, out: Path, detail: Callable[[str], None]
) -> FinishedBatch:
    """Waits for the batch, and saves its results. Raises CliError if it failed."""
    from sandpiper.execution_control import wait_for_end
    from sandpiper.runs.batch_files import download_batch
    from sandpiper.runs.batches import batch_folder, failed_items, result_lines
    from sandpiper.runs.finding import find_execution

    wait_for_end(session, execution, lambda seconds: detail(f"running, {seconds:.0f} s"))
    ended = find_execution(session, target, execution)
    if ended.summary is None:
        raise CliError(f"the batch failed: {ended.error}: {ended.message}")
    run = download_batch(session, target, ended, out / "claims", detail)
    failed = failed_items(result_lines(batch_folder(session, target, execution)), ended.failed_items or 0)
    return FinishedBatch(run, failed)


def print_batch(console: Console, batch: FinishedBatch) -> None:
    """Prints the summary of the batch, and its failed items. No command can show one after the demo has ended."""
    console.print(styled("\n", (BATCH_PROGRAM, "bold"), f"  for each line of {BATCH_ITEMS}"))
    print_summary(console, batch.run.execution)
    print_failures(console, batch.run.execution, batch.failed)


def _preview(out: Path, phases: Phases) -> Path:
    """Draws the dashboards with the metrics of the examples, and returns the page."""
    from sandpiper.cli.dashboards import draw
    from sandpiper.plan.assembly import read_assembly

    with phases.phase("dashboards") as detail:
        _, (page, *_) = draw(read_assembly(ASSEMBLY), "embedded", out, detail, minutes=PREVIEWED_MINUTES)
    return page


def _review(out: Path) -> Path:
    """Reviews the templates of the demo and returns the file of the report. Findings do not fail the demo.

    It runs while the CDK CLI deploys, for which this process only waits.
    """
    from sandpiper.review.access.expectations import expectations_of
    from sandpiper.review.formats import FORMATS
    from sandpiper.review.report import Report, git_commit
    from sandpiper.review.review import Target, review
    from sandpiper.review.targets import source_of

    source = source_of([str(PROJECT / "environments" / "local.yaml")])
    expectations = () if source is None else expectations_of(source)
    found = review([Target(ASSEMBLY, "", expectations)], lambda _: None, name="local")
    write_text(out / "review.html", FORMATS["html"](Report(found, source, git_commit(PROJECT))))
    return out / "review.html"
