"""Amazon Bedrock AgentCore Code Interpreter, emulated on loopback for development and tests.

Start it with `local-agentcore serve`, or take the pytest fixtures of `local_agentcore.pytest_plugin`.
"""
