"""Runs a program in an AgentCore Code Interpreter session: at most once, with every file that it leaves named.

A script or a notebook opens a session with `session.open_session`; a Lambda has its entry in `handlers`; an agent gets
its tools from `tools`.
"""
