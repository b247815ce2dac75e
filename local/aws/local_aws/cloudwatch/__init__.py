"""CloudWatch's evaluation of metrics: statistics, expressions, queries, alarms and log queries.

These modules do not import MiniStack. `local_aws.ministack.patches` connects them to its CloudWatch.
"""
