"""An AWS on one machine, for development and tests: MiniStack, a runtime for Lambda and local-agentcore, on loopback.

`control` starts, describes and stops it; `service` is the process that it runs in.
"""
