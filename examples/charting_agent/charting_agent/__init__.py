"""An agent that answers questions about data: a model writes Python, a Code Interpreter runs it, figures become links.

`python_tool` is what the model calls, `conversation` one prompt and its answer, `server` what serves it over HTTP.
"""
