"""What Sandpiper's parts agree on: requests, results, errors and the names of metrics.

Pure Python without dependencies, so that it costs nothing in a Lambda function's start.
"""
