"""An agent for questions about data. A model writes Python code, and a Code Interpreter runs it.

`python_tool` is the tool that the model calls, `conversation` handles one prompt, and `server` is the HTTP application.
"""
