"""What an app keeps of the game: a snapshot, and the publications applied to it, by what the protocol documents.

Knows the words of the wire and nothing of the engine: what it would get wrong, an app would get wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Facts = dict[str, Any]
AMOUNTS = ("wallet_g", "avoided_mg", "debt_g")


@dataclass
class View:
    """All that one user holds: own amounts, balls, book, trees and relations, and the forests of friends."""

    user: str
    amounts: Facts = field(default_factory=dict)
    forests: dict[str, dict[str, Facts]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)  # balls that the user has collected from
    activities: dict[str, Facts] = field(default_factory=dict)
    trees: dict[str, Facts] = field(default_factory=dict)
    relations: dict[str, str] = field(default_factory=dict)

    # --- snapshots

    def load_forest(self, reply: Facts) -> None:
        """The reply of forest.get, own or a friend's."""
        assert not reply["more"], "the course keeps forests small"
        if reply["user"] == self.user:
            self.amounts = {name: reply[name] for name in AMOUNTS}
        self.taken |= {ball["id"] for ball in reply["balls"] if ball["status"] == "already_collected"}
        self.forests[reply["user"]] = {ball["id"]: _without_status(ball) for ball in reply["balls"]}

    def load_lists(self, activities: Iterable[Facts], trees: Facts, friends: Facts) -> None:
        """The replies of activity.list (all pages), tree.list and friend.list."""
        self.activities = {activity["id"]: activity for activity in activities}
        self.trees = {tree["number"]: tree for tree in trees["trees"]}
        self.relations = relations_of(friends)

    # --- publications

    def apply(self, channel: str, data: Facts) -> None:
        """One publication; facts replace what was there."""
        kind, _, owner = channel.partition(":")
        if data["type"] == "ball.ripened":
            return  # clients know ripens_at
        assert data["type"] == f"{kind}.changed", data
        assert data["v"] == 1
        for ball in data.get("balls", ()):
            self.forests.setdefault(owner, {})[ball["id"]] = ball
        if kind == "user":
            self._apply_own(data)

    def _apply_own(self, data: Facts) -> None:
        self.amounts |= {name: data[name] for name in AMOUNTS if name in data}
        self.taken |= {took["ball"] for took in data.get("took", ())}
        self.activities |= {activity["id"]: activity for activity in data.get("activities", ())}
        self.trees |= {tree["number"]: tree for tree in data.get("trees", ())}
        for friend in data.get("friends", ()):
            if friend["state"] == "none":
                self.relations.pop(friend["user"], None)
            else:
                self.relations[friend["user"]] = friend["state"]

    def drop_forest(self, owner: str) -> None:
        """The server ended the subscription: nothing of that forest is held any more."""
        self.forests.pop(owner, None)

    # --- what is shown

    def forest(self, owner: str, now: str) -> dict[str, Facts]:
        """The balls that lie in a forest at an instant, each with its status for this user."""
        return {
            ball["id"]: ball | {"status": self._status(ball, owner, now)}
            for ball in self.forests[owner].values()
            if ball["remaining_g"] > 0 and now < ball["expires_at"]
        }

    def _status(self, ball: Facts, owner: str, now: str) -> str:
        """By the rules of the protocol's page; instants in one format compare as texts."""
        if ball["id"] in self.taken:
            return "already_collected"
        if now < ball["ripens_at"]:
            return "growing"
        if owner == self.user:
            return "ripe"
        if now < ball["friends_from_at"]:
            return "head_start"
        return "ripe" if ball["left_for_friends_g"] > 0 else "nothing_left"


def relations_of(friends: Facts) -> dict[str, str]:
    """user → state, out of the reply of friend.list."""
    found = {row["user"]: "friends" for row in friends["friends"]}
    found |= {row["user"]: "asking" for row in friends["asking"]}
    found |= dict.fromkeys(friends["asked"], "asked")
    return found | dict.fromkeys(friends["blocked"], "blocked")


def _without_status(ball: Mapping[str, Any]) -> Facts:
    return {name: value for name, value in ball.items() if name != "status"}
