"""Runs a program in an AgentCore Code Interpreter session: at most once, with every file that it leaves named.

`run.run_code` is the whole of it, for a Lambda (`handlers`), a script or a notebook.
"""
