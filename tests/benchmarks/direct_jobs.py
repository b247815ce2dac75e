"""Sends the jobs of a batch directly to AgentCore: no Step Functions, no Lambda function and no records."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.programs import Code
from code_runner.session import open_session
from sandpiper_contract.batches import ITEM_FILE
from sandpiper_contract.files import InputFile
from tests.benchmarks.deployed_batches import CODE, CONCURRENCY


def run_directly(interpreter_id: str, items: int) -> float:
    """Runs a job for each item with the concurrency of a batch, and returns the duration in seconds.

    Each job sends the same calls as an item of a batch with a separate session: start, write, run, collect and stop.
    """
    clients = AwsClients()

    def run(n: int) -> int:
        with open_session(clients, interpreter_id) as session:
            item = InputFile(ITEM_FILE, text=f'{{"n": {n}}}'.encode())
            return session.run(Code(CODE), inputs=[item]).exit_code

    began = time.monotonic()
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        exit_codes = list(threads.map(run, range(items)))
    if exit_codes != [int(n % 100 == 7) for n in range(items)]:
        raise RuntimeError("a job has another exit code")
    return time.monotonic() - began
