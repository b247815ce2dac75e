"""The contract between Sandpiper's parts: requests, results, errors, metric names and JSON Schemas.

Pure Python without dependencies, because a Lambda function imports it in its cold start.
"""
