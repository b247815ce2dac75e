"""Compares the cloud assembly of an environment with the deployed stacks and reports what `cdk deploy` would change.

`compare` creates the plan, `model` defines it, `render` prints it. Nothing in this package changes a resource, and the
package never imports the code of the stacks.
"""
