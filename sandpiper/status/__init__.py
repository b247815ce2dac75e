"""Reports the deployed resources of an environment and their differences from the templates. Changes no resource.

`collect` reads the status, `drift` compares resources with templates, `model` defines the status, `render` prints it.
"""
