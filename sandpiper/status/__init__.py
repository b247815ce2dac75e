"""Reports what is deployed of an environment, and where it differs from its templates. Changes no resource.

`collect` reads the status, `drift` compares resources with templates, `model` defines the status, `render` prints it.
"""
