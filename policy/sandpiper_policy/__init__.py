"""What IAM would say of a request, and why: policies as documents in, a decision with its statements out.

Offline, and by AWS's documentation ("Policy evaluation logic" and "IAM JSON policy reference" of the IAM User Guide).
`evaluate` is the entry. Nothing here knows of accounts, users or HTTP: the caller says who asks, in which context, and
which policies there are. Not evaluated: service and resource control policies, endpoint policies and S3's ACLs.
"""
