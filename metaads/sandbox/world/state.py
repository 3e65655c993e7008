"""The world: accounts and their trees, people, and every change that the journal holds.

``World`` has one way in for changes (``record``), which writes the journal and applies the entry; replaying a
journal applies the same entries. Reads name a moment, since each field is a timeline.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any

from metaads.sandbox.journal import Entry, Journal
from metaads.sandbox.world import people
from metaads.sandbox.world.nodes import ACCOUNT, ADSET, CAMPAIGN, CREATIVE, Node, Timeline, Traits

# Fields whose change does not move ``updated_time`` (reference 6.3).
SILENT = frozenset({"daily_budget", "lifetime_budget", "spend_cap"})
GONE = frozenset({"ARCHIVED", "DELETED"})


class World:
    """Everything that the sandbox knows, apart from the numbers, which ``delivery`` computes."""

    def __init__(self, *, name: str, seed: int, start: float, journal: Journal) -> None:
        self.name = name
        self.seed = seed
        self.start = start
        self.journal = journal
        self.nodes: dict[str, Node] = {}
        self.accounts: dict[str, Node] = {}
        self.people: dict[str, people.Person] = {}
        self.codes = people.Codes()
        self.revocations: dict[str, list[people.Revocation]] = {}
        self.declined: dict[str, set[str]] = {}
        self.authorised_at: dict[str, float] = {}
        self.subscriptions: dict[str, dict[str, Any]] = {}
        self.touched: dict[str, list[float]] = {}
        self._cuts: dict[str, list[float]] = {}
        self.runs: dict[str, Entry] = {}
        self.moves: list[Entry] = []
        self._children: dict[tuple[str, str], list[Node]] = {}
        self._next_id = 120_230_000_000_900_001

    # --- building -----------------------------------------------------------------------------------------------

    def add(self, node: Node) -> Node:
        """Put a node into the tree."""
        self.nodes[node.id] = node
        if node.kind == ACCOUNT:
            self.accounts[node.id] = node
            return node
        for owner in {node.account_id, node.campaign_id, node.adset_id} - {"", node.id}:
            self._children.setdefault((owner, node.kind), []).append(node)
        if node.kind == CAMPAIGN:
            self.touched.setdefault(node.id, [])
        return node

    def replay(self) -> None:
        """Apply what the journal already holds."""
        for entry in self.journal:
            self._apply(entry)

    def record(self, *, at: float, kind: str, **data: Any) -> Entry:
        """Journal an entry and apply it."""
        entry = self.journal.append(at=at, kind=kind, data=data)
        self._apply(entry)
        return entry

    def remember(self, entry: Entry) -> None:
        """Apply something that the world's own past holds; it is part of the world, not of the journal."""
        self._apply(entry)

    def new_id(self) -> str:
        """An id for a created object: the same one for the same journal."""
        value = self._next_id
        self._next_id += 1
        return str(value)

    # --- reading ------------------------------------------------------------------------------------------------

    def node(self, node_id: str, *, at: float) -> Node | None:
        """The object, if it exists at ``at``."""
        node = self.nodes.get(node_id)
        return node if node is not None and node.created <= at else None

    def children(self, owner_id: str, kind: str, *, at: float | None = None) -> list[Node]:
        """Objects of ``kind`` anywhere below ``owner_id``, in order of creation."""
        found = self._children.get((owner_id, kind), [])
        return found if at is None else [node for node in found if node.created <= at]

    def account_of(self, node: Node) -> Node:
        """The ad account that owns the node."""
        return node if node.kind == ACCOUNT else self.accounts[node.account_id]

    def ancestors(self, node: Node) -> list[Node]:
        """The ad set and the campaign above, nearest first."""
        return [self.nodes[i] for i in (node.adset_id, node.campaign_id) if i and i != node.id]

    def status(self, node: Node, at: float) -> str:
        """The configured status; a deleted or archived parent is inherited (reference 6.4)."""
        own = str(node.get("status", at, "ACTIVE"))
        if own == "DELETED":
            return own
        for parent in self.ancestors(node):
            theirs = parent.get("status", at)
            if theirs in GONE and (own not in GONE or theirs == "DELETED"):
                own = str(theirs)
        return own

    def effective_status(self, node: Node, at: float) -> str:
        """What really happens: own status first, then ad set, then campaign (reference 6.4)."""
        own = self.status(node, at)
        if own != "ACTIVE":
            return own
        forced = node.get("forced_status", at)
        if forced:
            return str(forced)
        if node.kind != CAMPAIGN and not node.initial and at - node.created < 60:
            return "IN_PROCESS" if node.kind == ADSET else "PENDING_REVIEW"
        for parent in self.ancestors(node):
            if parent.get("status", at) == "PAUSED":
                return "ADSET_PAUSED" if parent.kind == ADSET else "CAMPAIGN_PAUSED"
        return own

    def is_cbo(self, campaign: Node, at: float) -> bool:
        """Whether the campaign owns the budget."""
        return bool(campaign.get("daily_budget", at) or campaign.get("lifetime_budget", at))

    def changes_between(self, campaign_id: str, after: float, before: float) -> list[float]:
        """Moments strictly between at which something of the campaign changed, in order."""
        cuts = self._cuts.get(campaign_id, [])
        return cuts[bisect.bisect_right(cuts, after) : bisect.bisect_left(cuts, before)]

    # --- people -------------------------------------------------------------------------------------------------

    def person_by_id(self, user_id: str) -> people.Person | None:
        """A Facebook user by his id."""
        return next((person for person in self.people.values() if person.id == user_id), None)

    def granted(self, token: people.Token) -> frozenset[str]:
        """The token's scopes without those that the person declined since."""
        return frozenset(token.scopes) - self.declined.get(token.user, set())

    def refusal(self, token: people.Token, at: float) -> int | None:
        """The 190 subcode with which the token is refused at ``at``; 0 = no subcode, None = it is valid."""
        if token.expires and at >= token.expires:
            return 463
        for revocation in self.revocations.get(token.user, ()):
            if token.issued <= revocation.at <= at:
                return revocation.subcode or 0
        return None

    # --- applying -----------------------------------------------------------------------------------------------

    def _apply(self, entry: Entry) -> None:
        data = entry.data
        if entry.kind == "set":
            self._apply_set(entry)
        elif entry.kind == "create":
            self._apply_create(entry)
        elif entry.kind == "revoke":
            self.revocations.setdefault(data["user"], []).append(
                people.Revocation(entry.at, data.get("subcode"))
            )
        elif entry.kind == "grant":
            declined = self.declined.setdefault(data["user"], set())
            declined -= set(data.get("granted", ()))
            declined |= set(data.get("declined", ()))
            if data.get("authorised"):
                self.authorised_at[data["user"]] = entry.at
        elif entry.kind == "run":
            self.runs[data["id"]] = entry
            self._next_id = max(self._next_id, int(data["id"]) + 1)
        elif entry.kind == "subscription":
            self.subscriptions[data["key"]] = data["value"]

    def _apply_set(self, entry: Entry) -> None:
        data = entry.data
        node = self.nodes[data["object_id"]]
        lands = float(data["lands"])
        node.put(data["field"], lands, data["value"])
        if data["field"] not in SILENT:
            node.put("updated_time", lands, lands)
        self._touch(node, lands)
        self.moves.append(entry)

    def _apply_create(self, entry: Entry) -> None:
        data = entry.data
        source = self.nodes.get(data.get("source") or "")
        traits = source.traits if source else Traits()
        fields = {name: Timeline(entry.at, value) for name, value in data["fields"].items()}
        node = Node(
            id=data["id"],
            kind=data["object_kind"],
            account_id=data["account_id"],
            created=entry.at,
            campaign_id=data.get("campaign_id", ""),
            adset_id=data.get("adset_id", ""),
            fields=fields,
            traits=traits,
            initial=False,
        )
        node.fields.setdefault("updated_time", Timeline(entry.at, entry.at))
        self.add(node)
        self._next_id = max(self._next_id, int(node.id) + 1)
        if node.kind != CREATIVE:
            self._touch(node, entry.at)
            # A fresh object starts to deliver when its review ends: that moment cuts the day too.
            self._touch(node, entry.at + 60)
        self.moves.append(entry)

    def _touch(self, node: Node, at: float) -> None:
        campaigns: Iterable[str]
        if node.kind == ACCOUNT:
            campaigns = [child.id for child in self.children(node.id, CAMPAIGN)]
        else:
            campaigns = [node.campaign_id or node.id]
        for campaign_id in campaigns:
            self.touched.setdefault(campaign_id, []).append(at)
            bisect.insort(self._cuts.setdefault(campaign_id, []), at)


def ids_below(world: World, node: Node, kind: str) -> list[Node]:
    """The node itself when it is of ``kind``, else its descendants of that kind."""
    return [node] if node.kind == kind else world.children(node.id, kind)
