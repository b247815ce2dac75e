"""Metrics, usage logs, application logs and spans, as the service delivers them to CloudWatch and X-Ray.

https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/observability-tool-metrics.html
"""
