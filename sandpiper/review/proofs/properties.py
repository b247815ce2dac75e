"""The properties that are proved, as a table."""

from __future__ import annotations

from sandpiper.review.findings import Severity
from sandpiper.review.proofs import data, permissions, trust
from sandpiper.review.proofs.question import Property

PROPERTIES = (
    Property(
        "trust-own-account",
        "Only this account can make AgentCore assume the role of an interpreter",
        "An interpreter of another account would run code with this role.",
        "Add the condition StringEquals aws:SourceAccount with the ID of the account to the trust policy.",
        trust.only_our_account,
    ),
    Property(
        "trust-own-interpreter",
        "AgentCore assumes each role only for the interpreters that name it",
        "Code in another interpreter of the account would have the permissions of this role.",
        "Add the condition ArnLike aws:SourceArn with the name of the interpreter, a hyphen and ten question marks.",
        trust.only_this_interpreter,
    ),
    Property(
        "trust-no-other",
        "No other service, account, role or anonymous caller can assume the role of an interpreter",
        "The permissions of the code could be used outside of its sandbox.",
        "Allow only bedrock-agentcore.amazonaws.com in the trust policy.",
        trust.no_other_principal,
    ),
    Property(
        "writes-own-folder",
        "No code writes or deletes an object of the data bucket outside of the folder of its tenant",
        "Code could replace results, inputs or records of others.",
        "Limit the actions that write to the folder of the tenant, with a slash before the wildcard.",
        data.no_writes_outside,
    ),
    Property(
        "data-own-tenant",
        "No code reaches an object of another tenant",
        "Code of one tenant could read or change data of another one.",
        "Limit the role to the folder of its tenant, and deny the rest in the policy of the bucket.",
        data.no_other_tenant,
    ),
    Property(
        "data-own-run",
        "No code reaches inputs, results, files or records of runs with the role of its interpreter",
        "A run could read or change the data of another run, or its own record.",
        "Limit the role to folders of code; the session function transfers the files of runs.",
        data.no_other_run,
    ),
    Property(
        "public-no-data",
        "Code with internet access reaches no object of the data bucket",
        "The code could send the objects to any address.",
        "Remove the folders in the data bucket from the interpreter, or use the network mode SANDBOX or VPC.",
        data.public_without_data,
        Severity.MEDIUM,
    ),
    Property(
        "callers-own-interpreters",
        "Only named callers start or use an interpreter, and only those of their tenant",
        "An identity could run code with the role of an interpreter that it does not own.",
        "Name the interpreters in the statement, and only those of the tenant.",
        permissions.only_own_interpreters,
    ),
    Property(
        "data-named-roles",
        "No other identity of the account, administrators included, reaches an object of a tenant",
        "Anyone with broad permissions on S3 could read and change the data of all tenants.",
        "Deny s3:* on the folders of tenants unless aws:PrincipalArn is one of the named roles.",
        data.no_identity_reads_tenants,
    ),
    Property(
        "records-session-function",
        "Only session functions write idempotency records",
        "A forged record would return a result that no code has produced.",
        "Deny writes of records to all roles except those of session functions.",
        data.only_session_functions_write_records,
    ),
    Property(
        "nothing-public",
        "No resource allows anything to anonymous callers or to accounts that no policy names",
        "Anyone on the internet could use the resource.",
        "Name the accounts or services in the policy of the resource, with conditions.",
        permissions.nothing_public,
    ),
    Property(
        "no-pass-role",
        "No identity of the templates passes a role to a service",
        "The identity could start a program with the permissions of that role.",
        "Remove iam:PassRole from the role.",
        permissions.no_passed_role,
    ),
)
"""The properties, in the order of reports."""
