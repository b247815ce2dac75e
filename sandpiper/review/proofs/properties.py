"""The properties that are proved, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import SESSION_FUNCTION_ROLE, TENANTS_PREFIX, role_name_pattern
from sandpiper.review.findings import Severity
from sandpiper.review.proofs.question import Property, Question
from sandpiper.review.proofs.subjects import (
    INTERPRETER_TYPE,
    OTHER_ACCOUNT,
    RunAs,
    administrator,
    any_role_of,
    arn_pattern,
    data_buckets,
    facts_of,
    identities_with_policies,
    interpreters,
    session_of,
    session_of_arn,
    tags_of,
)
from sandpiper_contract.aws import AGENTCORE, ENVIRONMENT_TAG, MANAGED_INTERPRETER, partition_of
from sandpiper_contract.settings import INPUTS, RECORD_NAME, RUNS
from sandpiper_policy.evaluate import Policies
from sandpiper_policy.principals import ACCOUNT_ID, ANONYMOUS, Principal
from sandpiper_policy.proofs.claims import ACTION, RESOURCE, Claim, Restriction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewedTemplate, ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.identities import Identity

SERVICE = Principal.parse("bedrock-agentcore.amazonaws.com")
OTHER_SERVICE = Principal.parse("ec2.amazonaws.com")
"""A service that runs programs of any customer. It stands for all services that the policies do not name."""
ANY_TENANT = "any-tenant"
"""A name that no policy contains. It stands for all tenants."""
ASSUME = Restriction(ACTION, ("sts:AssumeRole*", "sts:TagSession", "sts:SetSourceIdentity"))
START_OR_INVOKE = Restriction(
    ACTION,
    (
        *(f"{AGENTCORE}:StartCodeInterpreterSession", f"{AGENTCORE}:InvokeCodeInterpreter"),
        f"{AGENTCORE}:ConnectCodeInterpreter*",
    ),
)
ALL_S3 = Restriction(ACTION, ("s3:*",))
NO_READS = Restriction(ACTION, ("s3:Get*", "s3:List*", "s3:Describe*"), excluded=True)
NO_OBJECT_READS = Restriction(ACTION, ("s3:GetObject*", "s3:ListMultipartUploadParts"), excluded=True)


def _only_our_account(model: ReviewModel) -> Iterator[Question]:
    for one in interpreters(model):
        account = one.role.account
        yield Question(
            one.role.address,
            f"AgentCore assumes the role only for account {account}",
            Claim(
                model.policies.policies_for(one.role, one.role.address, required=True),
                account,
                SERVICE,
                (ASSUME, Restriction("aws:SourceAccount", (account,), excluded=True)),
            ),
        )


def _only_this_interpreter(model: ReviewModel) -> Iterator[Question]:
    patterns: dict[str, list[RunAs]] = {}
    for one in interpreters(model):
        patterns.setdefault(one.role.address, []).append(one)
    for address, users in patterns.items():
        role = users[0].role
        names = " and ".join(str(user.interpreter.get("Name")) for user in users)
        own = tuple(arn_pattern(user.interpreter) for user in users)
        yield Question(
            address,
            f"AgentCore assumes the role only for the interpreter {names}",
            Claim(
                model.policies.policies_for(role, address, required=True),
                role.account,
                SERVICE,
                (ASSUME, Restriction("aws:SourceArn", own, excluded=True)),
            ),
        )


def _nobody_else_assumes(model: ReviewModel) -> Iterator[Question]:
    for one in interpreters(model):
        role = one.role
        trust = model.policies.policies_for(role, role.address, required=True).resource
        others = Policies([administrator()], resource=trust, resource_policy_required=True)
        region = one.interpreter.region
        principals = {
            "another service": (OTHER_SERVICE, False),
            "an identity of another account": (any_role_of(OTHER_ACCOUNT, region), False),
            "a role of the account, an administrator's included,": (any_role_of(role.account, region), True),
            "an anonymous caller": (ANONYMOUS, False),
            **{name: (principal, False) for name, principal in _named_in_trust(role, region)},
        }
        for name, (principal, any_role) in principals.items():
            yield Question(
                role.address,
                f"{name} cannot assume the role",
                Claim(others, role.account, principal, (ASSUME,), any_role=any_role),
            )


def _named_in_trust(role: Identity, region: str) -> Iterator[tuple[str, Principal]]:
    """Yields the principals other than AgentCore that a trust policy names: a session of each role or account."""
    statements = () if role.trust is None else role.trust.statements
    elements = [one.compiled.principals for one in statements if one.compiled.principals is not None]
    for kind, name in sorted({pair for element in elements for pair in element.names}):
        if kind == "AWS" and (ACCOUNT_ID.fullmatch(name) or name.endswith(":root")):
            yield name, any_role_of(name.split(":")[-2] if ":" in name else name, region)
        elif kind == "AWS" and ":role/" in name:
            yield name, session_of_arn(name)
        elif name not in ("*", SERVICE.name):
            yield name, Principal.parse(name)


def _on_bucket(model: ReviewModel, identity: Identity, bucket: Resource, *restrictions: Restriction) -> Claim:
    """Returns the claim that an identity is allowed no such request on the objects of a bucket."""
    return Claim(
        model.policies.policies_for(identity, bucket.address),
        bucket.account,
        session_of(identity),
        (*restrictions, *facts_of(model, identity), Restriction("aws:ResourceAccount", (bucket.account,))),
    )


def _own_folder(bucket: Resource, tenant: str) -> str:
    return f"{bucket.arn}/{TENANTS_PREFIX}/{tenant}"


def _no_writes_outside(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        for one in interpreters(model):
            own = f"{_own_folder(bucket, one.tenant)}/*"
            claim = _on_bucket(
                model,
                one.role,
                bucket,
                ALL_S3,
                NO_READS,
                Restriction(RESOURCE, (f"{bucket.arn}/*",)),
                Restriction(RESOURCE, (own,), excluded=True),
            )
            yield Question(
                one.role.address, f"code writes and deletes no object outside of {own}", claim, one.role.managed_arns
            )


def _no_other_tenant(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        for one in interpreters(model):
            claim = _on_bucket(
                model,
                one.role,
                bucket,
                ALL_S3,
                Restriction(RESOURCE, (f"{bucket.arn}/{TENANTS_PREFIX}/*",)),
                Restriction(RESOURCE, (f"{_own_folder(bucket, one.tenant)}/*",), excluded=True),
            )
            yield Question(
                one.role.address,
                f"code reaches no object of a tenant other than {one.tenant or '-'}",
                claim,
                one.role.managed_arns,
            )


def _no_other_run(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        for one in interpreters(model):
            folders = tuple(f"{_own_folder(bucket, one.tenant)}/{part}/*" for part in (RUNS, INPUTS))
            claim = _on_bucket(model, one.role, bucket, ALL_S3, Restriction(RESOURCE, folders))
            yield Question(
                one.role.address,
                "code reaches no input, result, file or record of any run with its role",
                claim,
                one.role.managed_arns,
            )


def _public_without_data(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        for one in interpreters(model):
            if one.network == "PUBLIC":
                claim = _on_bucket(model, one.role, bucket, ALL_S3, Restriction(RESOURCE, (f"{bucket.arn}/*",)))
                yield Question(
                    one.role.address,
                    "code with internet access reaches no object of the data bucket",
                    claim,
                    one.role.managed_arns,
                )


def _only_own_interpreters(model: ReviewModel) -> Iterator[Question]:
    by_stack: dict[str, list[str]] = {}
    for interpreter in model.of_type(INTERPRETER_TYPE):
        name = arn_pattern(interpreter).removesuffix("-??????????")
        by_stack.setdefault(interpreter.stack, []).append(f"{name}-*")
    for identity in identities_with_policies(model):
        stacks = sorted({one.location.address.partition("/")[0] for one in (identity, *identity.policies)})
        own = [pattern for stack in stacks for pattern in by_stack.get(stack, ())]
        partition = identity.arn.split(":")[1]
        claim = Claim(
            model.policies.policies_for(identity),
            identity.account,
            session_of(identity),
            (
                START_OR_INVOKE,
                Restriction(RESOURCE, (f"arn:{partition}:{AGENTCORE}:*",)),
                Restriction(RESOURCE, (*own, *(_managed_interpreter(one) for one in model.templates)), excluded=True),
                *facts_of(model, identity),
            ),
        )
        sentence = f"starts and uses no interpreter outside of {' and '.join(stacks)}"
        yield Question(identity.address, sentence, claim, identity.managed_arns)


def _managed_interpreter(template: ReviewedTemplate) -> str:
    partition, region = partition_of(template.region), template.region
    return f"arn:{partition}:{AGENTCORE}:{region}:aws:code-interpreter/{MANAGED_INTERPRETER}"


def _no_passed_role(model: ReviewModel) -> Iterator[Question]:
    for identity in identities_with_policies(model):
        claim = Claim(
            model.policies.policies_for(identity),
            identity.account,
            session_of(identity),
            (Restriction(ACTION, ("iam:PassRole",)), *facts_of(model, identity)),
        )
        yield Question(identity.address, "passes no role to a service", claim, identity.managed_arns)


def _nothing_public(model: ReviewModel) -> Iterator[Question]:
    for address in model.policies.resource_policies:
        resource = model.by_address.get(address)
        if resource is None or resource.type == "AWS::EC2::VPCEndpoint":
            continue
        policy = model.policies.policies_for(next(iter(model.policies.identities.values())), address).resource
        for name, principal in {
            "an anonymous caller": ANONYMOUS,
            "an identity of an account that no policy names": any_role_of(OTHER_ACCOUNT, resource.region),
        }.items():
            claim = Claim(Policies([administrator()], resource=policy), resource.account, principal, ())
            yield Question(address, f"{name} is allowed nothing", claim)


def _only_session_functions_write_records(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        policy = model.policies.policies_for(next(iter(model.policies.identities.values())), bucket.address).resource
        roles = f"arn:{partition_of(bucket.region)}:iam::{bucket.account}:role/"
        functions = roles + role_name_pattern(tags_of(bucket).get(ENVIRONMENT_TAG, ""), SESSION_FUNCTION_ROLE)
        records = f"{_own_folder(bucket, ANY_TENANT)}/{RUNS}/*/{RECORD_NAME}"
        claim = Claim(
            Policies([administrator()], resource=policy),
            bucket.account,
            any_role_of(bucket.account, bucket.region),
            (
                ALL_S3,
                NO_OBJECT_READS,
                Restriction(RESOURCE, (records,)),
                Restriction("aws:PrincipalArn", (functions,), excluded=True),
            ),
            any_role=True,
        )
        yield Question(bucket.address, f"of the roles of the account, only {functions} write {records}", claim)


def _no_identity_reads_tenants(model: ReviewModel) -> Iterator[Question]:
    for bucket in data_buckets(model):
        policy = model.policies.policies_for(next(iter(model.policies.identities.values())), bucket.address).resource
        roles = f"arn:{partition_of(bucket.region)}:iam::{bucket.account}:role/"
        tenants = roles + role_name_pattern(tags_of(bucket).get(ENVIRONMENT_TAG, ""))
        claim = Claim(
            Policies([administrator()], resource=policy),
            bucket.account,
            any_role_of(bucket.account, bucket.region),
            (
                ALL_S3,
                Restriction(RESOURCE, (f"{bucket.arn}/{TENANTS_PREFIX}/*",)),
                Restriction("aws:PrincipalArn", (tenants, *_named_roles(model, bucket)), excluded=True),
            ),
            any_role=True,
        )
        yield Question(
            bucket.address,
            f"no role of the account, an administrator's included, reaches objects of tenants, except {tenants} and "
            "those that the environment file names",
            claim,
        )


def _named_roles(model: ReviewModel, bucket: Resource) -> tuple[str, ...]:
    """Returns the ARNs of roles, without wildcards, that the policy of a bucket exempts."""
    attached = model.policies.resource_policies.get(bucket.address, ())
    conditions = [each for policy in attached for one in policy.statements for each in one.compiled.conditions]
    values = [value for each in conditions if each.key.lower() == "aws:principalarn" for value in each.values]
    return tuple(sorted({value for value in values if "*" not in value}))


PROPERTIES = (
    Property(
        "trust-own-account",
        "Only this account can make AgentCore assume the role of an interpreter",
        "An interpreter of another account would run code with this role.",
        "Add the condition StringEquals aws:SourceAccount with the ID of the account to the trust policy.",
        _only_our_account,
    ),
    Property(
        "trust-own-interpreter",
        "AgentCore assumes each role only for the interpreters that name it",
        "Code in another interpreter of the account would have the permissions of this role.",
        "Add the condition ArnLike aws:SourceArn with the name of the interpreter, a hyphen and ten question marks.",
        _only_this_interpreter,
    ),
    Property(
        "trust-no-other",
        "No other service, account, role or anonymous caller can assume the role of an interpreter",
        "The permissions of the code could be used outside of its sandbox.",
        "Allow only bedrock-agentcore.amazonaws.com in the trust policy.",
        _nobody_else_assumes,
    ),
    Property(
        "writes-own-folder",
        "No code writes or deletes an object of the data bucket outside of the folder of its tenant",
        "Code could replace results, inputs or records of others.",
        "Limit the actions that write to the folder of the tenant, with a slash before the wildcard.",
        _no_writes_outside,
    ),
    Property(
        "data-own-tenant",
        "No code reaches an object of another tenant",
        "Code of one tenant could read or change data of another one.",
        "Limit the role to the folder of its tenant, and deny the rest in the policy of the bucket.",
        _no_other_tenant,
    ),
    Property(
        "data-own-run",
        "No code reaches inputs, results, files or records of runs with the role of its interpreter",
        "A run could read or change the data of another run, or its own record.",
        "Limit the role to folders of code; the session function transfers the files of runs.",
        _no_other_run,
    ),
    Property(
        "public-no-data",
        "Code with internet access reaches no object of the data bucket",
        "The code could send the objects to any address.",
        "Remove the folders in the data bucket from the interpreter, or use the network mode SANDBOX or VPC.",
        _public_without_data,
        Severity.MEDIUM,
    ),
    Property(
        "callers-own-interpreters",
        "Only named callers start or use an interpreter, and only those of their tenant",
        "An identity could run code with the role of an interpreter that it does not own.",
        "Name the interpreters in the statement, and only those of the tenant.",
        _only_own_interpreters,
    ),
    Property(
        "data-named-roles",
        "No other identity of the account, administrators included, reaches an object of a tenant",
        "Anyone with broad permissions on S3 could read and change the data of all tenants.",
        "Deny s3:* on the folders of tenants unless aws:PrincipalArn is one of the named roles.",
        _no_identity_reads_tenants,
    ),
    Property(
        "records-session-function",
        "Only session functions write idempotency records",
        "A forged record would return a result that no code has produced.",
        "Deny writes of records to all roles except those of session functions.",
        _only_session_functions_write_records,
    ),
    Property(
        "nothing-public",
        "No resource allows anything to anonymous callers or to accounts that no policy names",
        "Anyone on the internet could use the resource.",
        "Name the accounts or services in the policy of the resource, with conditions.",
        _nothing_public,
    ),
    Property(
        "no-pass-role",
        "No identity of the templates passes a role to a service",
        "The identity could start a program with the permissions of that role.",
        "Remove iam:PassRole from the role.",
        _no_passed_role,
    ),
)
"""The properties, in the order of reports."""
