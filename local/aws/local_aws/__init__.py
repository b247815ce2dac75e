"""An embedded AWS for development and tests: MiniStack, a Lambda runtime and local-agentcore on loopback.

`control` starts, inspects and stops it. `service` is the process that it runs in.
"""
