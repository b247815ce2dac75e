"""Chooses the data of a preview: a run on the embedded AWS, or invented data."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sandpiper import deployment
from sandpiper.dashboards.embedded_data import EmbeddedData
from sandpiper.dashboards.reading import planned_ids, read_dashboards
from sandpiper.dashboards.synthetic_data import SyntheticData
from sandpiper.errors import CliError
from sandpiper.plan.deployed import Account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper.dashboards.data import DataKind, DataSource
    from sandpiper.dashboards.reading import AssemblyDashboards
    from sandpiper.plan.assembly import Assembly, Stack


def with_data(assembly: Assembly, kind: DataKind) -> tuple[AssemblyDashboards, DataSource]:
    """Returns the dashboards of an assembly and the source of their data.

    Raises:
        CliError: A dashboard is not valid; or with embedded data, no embedded AWS is configured, or a stack with a
            dashboard is not deployed there.
    """
    if kind == "synthetic":
        read = read_dashboards(assembly, planned_ids)
        return read, SyntheticData(read)
    session = deployment.session_for(assembly.environment)
    endpoint = session.client("cloudwatch").meta.endpoint_url
    if urlsplit(endpoint).hostname not in deployment.LOOPBACK:
        raise CliError(
            f"--data embedded would read {endpoint}, which is not an embedded AWS: {deployment.USE_EMBEDDED_AWS}, or "
            "use --data synthetic"
        )
    account = Account(session, None)
    deployed = account.stacks(assembly.environment)

    def physical_ids(stack: Stack) -> Mapping[str, str]:
        if stack.name not in deployed:
            raise CliError(
                f"stack {stack.name} is not deployed at {endpoint}: run `cdk deploy --all -c "
                f"environment={assembly.environment}`, or use --data synthetic"
            )
        return account.physical_ids(stack.name)

    return read_dashboards(assembly, physical_ids), EmbeddedData(session)
