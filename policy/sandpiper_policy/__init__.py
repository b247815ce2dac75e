"""Evaluates IAM policies offline, as the IAM User Guide describes it ("Policy evaluation logic").

`document.parse_policy` parses a policy document and `evaluate.evaluate` decides a request. The package does
not look up accounts or users: the caller supplies the principal, the condition keys and every policy that applies.

Service control policies, resource control policies, VPC endpoint policies and S3 ACLs are not evaluated.

Example:
    >>> from sandpiper_policy.document import PolicyKind, parse_policy
    >>> from sandpiper_policy.evaluate import Policies, Request, evaluate
    >>> from sandpiper_policy.principals import Principal
    >>> reader = parse_policy(
    ...     "reader",
    ...     PolicyKind.IDENTITY,
    ...     {
    ...         "Version": "2012-10-17",
    ...         "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::data/*"},
    ...     },
    ... )
    >>> role = Principal.parse("arn:aws:iam::111122223333:role/worker")
    >>> decision = evaluate(
    ...     Request(role, "s3:GetObject", "arn:aws:s3:::data/a", account="111122223333"), Policies(identity=[reader])
    ... )
    >>> decision.allowed, decision.reason
    (True, 'allowed by statement 1 of reader')
"""
