"""The daily metrics of buckets, which S3 publishes and MiniStack does not. They are computed when they are read.

Only the current versions of objects count. https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ministack.services import s3

from local_aws.cloudwatch.statistics import Datum

if TYPE_CHECKING:
    from local_aws.cloudwatch.series import Metric

MINISTACK_VERSION = "1.5.33"
NAMESPACE = "AWS/S3"
SIZE = ("BucketSizeBytes", "StandardStorage")
COUNT = ("NumberOfObjects", "AllStorageTypes")


def bucket_data(metric: Metric) -> list[Datum]:
    """Returns the present value of a metric of a bucket, or nothing for another metric or bucket."""
    dimensions = dict(metric.dimensions)
    bucket = s3._buckets.get(dimensions.get("BucketName", ""))
    name = (metric.name, dimensions.get("StorageType", ""))
    if bucket is None or name not in (SIZE, COUNT):
        return []
    sizes = [each.get("size", 0) for each in list((bucket.get("objects") or {}).values())]
    value, unit = (float(sum(sizes)), "Bytes") if name == SIZE else (float(len(sizes)), "Count")
    return [Datum(time.time(), 1.0, value, value, value, unit)]
