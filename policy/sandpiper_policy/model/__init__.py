"""The policies of a set of templates as one model: who has which policy, and which identity reaches which resource.

The package knows no file format and no CloudFormation. Its caller reads templates and supplies resolved policy
documents; `sandpiper.review` does so for cloud assemblies.

The model over-approximates grants. A statement that exists only when a condition of its template holds counts when it
allows, and does not count when it denies. A part of a value that is known only after a deployment is a symbol.
"""
