"""The fields that Logs Insights discovers in the platform lines of Lambda's logs.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local_aws.cloudwatch.logs_insights.values import Row

LINE = re.compile(r"(START|END|REPORT) RequestId: (\S+)")
FIELDS = {
    "@duration": (re.compile(r"\tDuration: ([\d.]+) ms"), 1.0),
    "@billedDuration": (re.compile(r"Billed Duration: ([\d.]+) ms"), 1.0),
    "@initDuration": (re.compile(r"Init Duration: ([\d.]+) ms"), 1.0),
    "@memorySize": (re.compile(r"Memory Size: (\d+) MB"), 1e6),
    "@maxMemoryUsed": (re.compile(r"Max Memory Used: (\d+) MB"), 1e6),
}
"""The patterns of a REPORT line, and the factors of their units: milliseconds and bytes."""


def lambda_fields(message: str) -> Row:
    """Returns the fields of a platform line, or none for another message."""
    line = LINE.match(message)
    if line is None:
        return {}
    found: Row = {"@type": line[1], "@requestId": line[2]}
    for name, (pattern, factor) in FIELDS.items() if line[1] == "REPORT" else ():
        if match := pattern.search(message):
            found[name] = float(match[1]) * factor
    return found
