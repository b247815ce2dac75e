"""Finds the edges of the graph: which statements let an identity use, change or pass a node.

Conditions are not evaluated. A deny counts when it has no condition and covers the whole node, and a permissions
boundary counts when the templates contain it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper_policy.model.graph import Edge, EdgeKind, Graph, Node, NodeKind
from sandpiper_policy.model.identities import IdentityKind
from sandpiper_policy.model.matching import ArnIndex, matched_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sandpiper_policy.model.attached import AttachedPolicy
    from sandpiper_policy.model.identities import Identity
    from sandpiper_policy.model.statements import PolicyStatement

MAX_EDGES = 200_000
"""Edges of one graph, so that a hostile set of templates cannot exhaust the memory."""
START, INVOKE = "bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"
ASSUME, PASS = "sts:AssumeRole", "iam:PassRole"


@dataclass(frozen=True)
class EdgeRule:
    """Which actions make an edge to nodes of a kind. With `together`, all actions are required."""

    kind: EdgeKind
    target: NodeKind
    actions: tuple[str, ...]
    together: bool = False


EDGE_RULES = (
    EdgeRule(EdgeKind.INVOKES, NodeKind.INTERPRETER, (START, INVOKE), together=True),
    EdgeRule(
        EdgeKind.INVOKES,
        NodeKind.FUNCTION,
        ("lambda:InvokeFunction", "lambda:InvokeAsync", "lambda:InvokeFunctionUrl"),
    ),
    EdgeRule(
        EdgeKind.INVOKES,
        NodeKind.STATE_MACHINE,
        ("states:StartExecution", "states:StartSyncExecution", "states:RedriveExecution"),
    ),
    EdgeRule(
        EdgeKind.CONTROLS,
        NodeKind.FUNCTION,
        ("lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration"),
    ),
    EdgeRule(EdgeKind.CONTROLS, NodeKind.STATE_MACHINE, ("states:UpdateStateMachine",)),
    EdgeRule(
        EdgeKind.CONTROLS,
        NodeKind.ROLE,
        (
            "iam:PutRolePolicy",
            "iam:AttachRolePolicy",
            "iam:UpdateAssumeRolePolicy",
            "iam:DeleteRolePermissionsBoundary",
        ),
    ),
    EdgeRule(EdgeKind.CONTROLS, NodeKind.KEY, ("kms:PutKeyPolicy", "kms:CreateGrant")),
    EdgeRule(EdgeKind.CONTROLS, NodeKind.BUCKET, ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutBucketAcl")),
    EdgeRule(EdgeKind.ASSUMES, NodeKind.ROLE, (ASSUME,)),
    EdgeRule(EdgeKind.PASSES, NodeKind.ROLE, (PASS,)),
    EdgeRule(EdgeKind.READS, NodeKind.BUCKET, ("s3:GetObject", "s3:GetObjectVersion")),
    EdgeRule(EdgeKind.WRITES, NodeKind.BUCKET, ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion")),
    EdgeRule(EdgeKind.READS, NodeKind.KEY, ("kms:Decrypt",)),
)
"""The actions that make an edge. Sources: the Service Authorization Reference of each service."""
_KNOWN = tuple(dict.fromkeys(action for rule in EDGE_RULES for action in rule.actions))
_INSIDE = {NodeKind.BUCKET: "/", NodeKind.FUNCTION: ":"}


Grants = dict[tuple[str, str], dict[str, "PolicyStatement"]]
"""By address of the target and action: the allowing statements, by key."""


@dataclass
class EdgeFinder:
    """Finds edges between identities and nodes.

    Attributes:
        identities: The identities by address.
        resource_policies: The policies of resources by the address of the resource.
        nodes: The nodes by address; the identities are among them.
        address_of: Returns the address of the identity that a principal of a policy names.
    """

    identities: Mapping[str, Identity]
    resource_policies: Mapping[str, tuple[AttachedPolicy, ...]]
    nodes: Mapping[str, Node]
    address_of: Callable[[str], str]
    _indexes: dict[NodeKind, ArnIndex] = field(init=False)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        arns: dict[NodeKind, dict[str, str]] = defaultdict(dict)
        for node in self.nodes.values():
            if node.arn and node.kind in {rule.target for rule in EDGE_RULES}:
                arns[node.kind][node.arn] = node.address
        self._indexes = {kind: ArnIndex(addresses, _INSIDE.get(kind, "")) for kind, addresses in arns.items()}

    def find(self, others: Iterable[Edge]) -> Graph:
        """Returns the graph with the edges of policies and with other edges, such as those of programs and roles.

        Edges of policies beyond `MAX_EDGES` are left out.
        """
        edges = [*others]
        for identity in self.identities.values():
            edges += self._edges(identity.address, self._identity_grants(identity))
        by_source: dict[str, dict[tuple[str, str], list[PolicyStatement]]] = defaultdict(lambda: defaultdict(list))
        for address, policies in self.resource_policies.items():
            if address in self.nodes:
                for policy in policies:
                    self._resource_grants(address, policy, by_source)
        for source, grants in by_source.items():
            edges += self._edges(source, grants)
        edges += self._trust_edges()
        return Graph(self.nodes, tuple(_merged(edges)), left_out=self._count > MAX_EDGES)

    def _identity_grants(self, identity: Identity) -> Mapping[tuple[str, str], list[PolicyStatement]]:
        """Returns the statements that allow an action on a node, by address and action."""
        statements = [one for policy in identity.policies for one in policy.statements]
        grants = self._matched(one for one in statements if one.allows)
        denies = (one for one in statements if not one.allows and one.is_certain and not one.syntax.conditions)
        for deny in denies:
            self._remove(grants, deny)
        if identity.boundary is not None and grants:
            allowed = self._matched(one for one in identity.boundary.statements if one.allows)
            return {key: found for key, found in grants.items() if key in allowed}
        return grants

    def _matched(self, statements: Iterable[PolicyStatement]) -> dict[tuple[str, str], list[PolicyStatement]]:
        grants: dict[tuple[str, str], list[PolicyStatement]] = defaultdict(list)
        for one in statements:
            for action, address in self._matches(one):
                grants[address, action].append(one)
        return grants

    def _matches(self, statement: PolicyStatement) -> Iterator[tuple[str, str]]:
        actions = matched_actions(statement.syntax.action, _KNOWN)
        for rule in EDGE_RULES if actions else ():
            index = self._indexes.get(rule.target)
            for action in rule.actions if index else ():
                if action in actions and index:
                    yield from ((action, address) for address in sorted(index.matched(statement.syntax.resource)))

    def _remove(self, grants: dict[tuple[str, str], list[PolicyStatement]], deny: PolicyStatement) -> None:
        actions = matched_actions(deny.syntax.action, _KNOWN)
        if not actions or deny.syntax.resource.negated:
            return
        for kind, index in self._indexes.items():
            covered = {address for value in deny.syntax.resource.values for address in index.covered(value)}
            for key in [key for key in grants if key[0] in covered and key[1] in actions]:
                if self.nodes[key[0]].kind is kind:
                    del grants[key]

    def _resource_grants(
        self,
        address: str,
        policy: AttachedPolicy,
        by_source: Mapping[str, dict[tuple[str, str], list[PolicyStatement]]],
    ) -> None:
        for one in policy.statements:
            if not one.allows or one.syntax.principal is None:
                continue
            actions = matched_actions(one.syntax.action, _KNOWN)
            for source in self._sources(one):
                for action in sorted(actions):
                    by_source[source][address, action].append(one)

    def _sources(self, statement: PolicyStatement) -> Iterator[str]:
        """Yields the identities that a statement names. An account is not one: its own policies decide."""
        principal = statement.syntax.principal
        if principal is None:
            return
        names = ["*"] if principal.negated else [name for _, name in principal.names]
        for name in names:
            identity = self.identities.get(self.address_of(name))
            if identity is not None and identity.kind is not IdentityKind.ACCOUNT:
                yield identity.address

    def _trust_edges(self) -> Iterator[Edge]:
        for role in self.identities.values():
            for one in role.trust.statements if role.trust else ():
                if one.allows and any(action.startswith("sts:") for action in one.syntax.action.values):
                    for source in self._sources(one):
                        yield Edge(EdgeKind.ASSUMES, source, role.address, (ASSUME,), (one,))

    def _edges(self, source: str, grants: Mapping[tuple[str, str], list[PolicyStatement]]) -> Iterator[Edge]:
        actions: dict[str, dict[str, list[PolicyStatement]]] = defaultdict(dict)
        for (address, action), statements in grants.items():
            actions[address][action] = statements
        for address, by_action in actions.items():
            kind = self.nodes[address].kind
            for rule in EDGE_RULES:
                found = [action for action in rule.actions if action in by_action] if rule.target is kind else []
                if not found or (rule.together and len(found) < len(rule.actions)):
                    continue
                if rule.kind is EdgeKind.ASSUMES and not self._trusts_account(address, source):
                    continue
                self._count += 1
                if self._count > MAX_EDGES:
                    return
                statements = dict.fromkeys(one for action in found for one in by_action[action])
                yield Edge(rule.kind, source, address, tuple(found), tuple(statements))

    def _trusts_account(self, role: str, source: str) -> bool:
        """Returns whether a role trusts the whole account of an identity, whose policies then decide."""
        trust, account = self.identities[role].trust, self.identities[source].account
        return trust is not None and any(
            one.allows
            and one.syntax.principal is not None
            and any(
                name in (account, f"arn:aws:iam::{account}:root") or name.endswith(f"::{account}:root")
                for _, name in one.syntax.principal.names
            )
            for one in trust.statements
        )


def _merged(edges: Iterable[Edge]) -> Iterable[Edge]:
    """Merges edges of the same kind between the same nodes."""
    merged: dict[tuple[EdgeKind, str, str], Edge] = {}
    for edge in edges:
        key = (edge.kind, edge.source, edge.target)
        known = merged.get(key)
        if known is not None:
            edge = Edge(
                *key,
                tuple(dict.fromkeys((*known.actions, *edge.actions))),
                tuple(dict.fromkeys((*known.statements, *edge.statements))),
            )
        merged[key] = edge
    return merged.values()
