"""Starts workflows of a tenant: at night, after an upload, and from another state machine.

`cdk deploy --app "python examples/triggers/app.py" -c environment=dev -c tenant=claims NAME` deploys one of the stacks
to the account and Region of the environment.
"""

from __future__ import annotations

import aws_cdk as cdk

from approved_batch import ApprovedBatch
from claims_process import ClaimsProcess
from nightly_batch import NightlyBatch
from run_on_upload import RunOnUpload
from tenant import Tenant

STACKS = {
    "nightly-batch": NightlyBatch,
    "run-on-upload": RunOnUpload,
    "claims-process": ClaimsProcess,
    "approved-batch": ApprovedBatch,
}


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    context = {name: app.node.try_get_context(name) for name in ("environment", "tenant")}
    missing = [name for name, value in context.items() if not value]
    if missing:
        raise SystemExit(f"no {missing[0]} is set; add -c {missing[0]}=NAME to the command")
    for name, stack in STACKS.items():
        stack(app, name, Tenant(**context))
    app.synth()
