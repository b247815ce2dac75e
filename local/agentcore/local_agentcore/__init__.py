"""Emulates Amazon Bedrock AgentCore Code Interpreter on loopback, for development and tests.

Start it with `local-agentcore serve`, or use the pytest fixtures of `local_agentcore.pytest_plugin`.
"""
