"""The facts that clients are told, in publications and in snapshots alike: absolute, never deltas.

One function a kind of fact, so that a snapshot and the pushes after it can't disagree. Knows no sockets and no SQL.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from engine.core import events as e
from engine.core.choosing import CHOICES
from engine.core.state import Activity, Ball, GameState, Tree, User
from engine.core.units import rfc3339
from engine.publication import Publication, Revocation, forest_channel, user_channel

VERSION = 1
WAITING_STATES = ("pledged", "allocated")
_encode = msgspec.json.Encoder().encode


# --- facts ----------------------------------------------------------------------------------------


def ball_facts(ball: Ball, is_owner: bool) -> dict[str, object]:
    """A ball for its owner, or for friends: they see the category (or less) and no avoided emissions."""
    facts: dict[str, object] = {
        "id": str(ball.id),
        "full_g": ball.full_g,
        "remaining_g": ball.remaining_g,
        "left_for_friends_g": max(0, ball.remaining_g - ball.floor_g),
        "ripens_at": rfc3339(ball.ripens_at),
        "friends_from_at": rfc3339(ball.friends_from_at),
        "expires_at": rfc3339(ball.expires_at),
    }
    if is_owner:
        facts["behaviour"] = ball.behaviour
        facts["avoided_mg"] = ball.avoided_mg
    else:
        facts |= shown_to_others(ball.behaviour, ball.others_see)
    return facts


def shown_to_others(behaviour: str, others_see: str) -> dict[str, object]:
    """The behaviour where its rule allows, its category, or nothing but grams."""
    if others_see == behaviour:
        return {"behaviour": behaviour}
    return {} if others_see == "grams" else {"category": others_see}


def ball_status(ball: Ball, viewer: int, now: int) -> str:
    """What the viewer can do with the ball now: growing, head_start, ripe, nothing_left, already_collected."""
    if any(taker[0] == viewer for taker in ball.takers):
        return "already_collected"
    if now < ball.ripens_at:
        return "growing"
    if viewer == ball.owner:
        return "ripe" if ball.remaining_g else "nothing_left"
    if now < ball.friends_from_at:
        return "head_start"
    return "ripe" if ball.remaining_g > ball.floor_g else "nothing_left"


def is_shown(ball: Ball, now: int) -> bool:
    """Whether the ball lies in the forest: some energy left, and not past its life."""
    return ball.remaining_g > 0 and now < ball.expires_at


def activity_facts(activity: Activity) -> dict[str, object]:
    """One line of a user's carbon book."""
    facts: dict[str, object] = {
        "id": str(activity.id),
        "behaviour": activity.behaviour,
        "source": activity.source,
        "method": activity.trace.get("avoided", {}).get("method", "none"),
        "on": activity.on,
        "quantity": activity.quantity,
        "unit": activity.unit,
        "energy_g": activity.energy_g,
        "avoided_mg": activity.avoided_mg,
        "status": activity.status,
        "accepted_at": rfc3339(activity.accepted_at),
    }
    if activity.at is not None:
        facts["at"] = rfc3339(activity.at)
    if activity.energy_g:
        facts["ball"] = str(activity.id)
    return facts


def tree_facts(tree: Tree) -> dict[str, object]:
    """A redeemed tree as its user sees it; while it waits, since when, why, and what its user can do about it."""
    facts: dict[str, object] = {
        "number": tree.number,
        "programme": tree.programme,
        "species": tree.species,
        "energy_g": tree.energy_g,
        "state": tree.state,
        "note": tree.note,
        "redeemed_at": rfc3339(tree.redeemed_at),
        "state_at": rfc3339(tree.state_at),
    }
    if tree.state in WAITING_STATES:
        facts["waiting"] = _waiting(tree)
    return facts


def _waiting(tree: Tree) -> dict[str, object]:
    if tree.waits_since_at is None:
        return {"since": rfc3339(tree.state_at), "why": tree.note or "for_order", "choices": []}
    back_at = tree.energy_back_at
    return {
        "since": rfc3339(tree.waits_since_at),
        "why": tree.note,
        "choices": list(CHOICES),
        "energy_back_at": None if back_at is None else rfc3339(back_at),
    }


def account_facts(user: User) -> dict[str, object]:
    """What only the owner of an account sees."""
    return {"wallet_g": user.wallet_g, "avoided_mg": user.avoided_mg, "debt_g": user.debt_g}


# --- what a group has touched ---------------------------------------------------------------------


class _Touched:
    """Of one user: which facts the group changed, and which journal row of the group tells of it last.

    Made for two users of every collect, so it holds nothing until there is something to hold.
    """

    __slots__ = ("account", "activities", "balls", "friends", "row", "took", "trees")

    def __init__(self) -> None:
        self.account = False
        self.balls: dict[int, None] | None = None
        self.took: list[dict[str, object]] | None = None
        self.activities: dict[tuple[str, str], None] | None = None
        self.trees: dict[int, None] | None = None
        self.friends: dict[int, str] | None = None
        self.row = 0

    def ball(self, ball: int) -> None:
        """A ball of this user changed."""
        if self.balls is None:
            self.balls = {}
        self.balls[ball] = None

    def forest(self) -> None:
        """Others may see and take from this user's balls again, though none of them changed."""
        if self.balls is None:
            self.balls = {}

    def take(self, ball: int, owner: int, energy_g: int) -> None:
        """This user collected."""
        if self.took is None:
            self.took = []
        self.took.append({"ball": str(ball), "owner": str(owner), "energy_g": energy_g})

    def activity(self, source: str, activity: str) -> None:
        """A line of this user's carbon book changed."""
        if self.activities is None:
            self.activities = {}
        self.activities[source, activity] = None

    def tree(self, tree: int) -> None:
        """A tree of this user changed."""
        if self.trees is None:
            self.trees = {}
        self.trees[tree] = None

    def friend(self, friend: int, relation: str) -> None:
        """How this user stands to another changed."""
        if self.friends is None:
            self.friends = {}
        self.friends[friend] = relation


class Telling:
    """Collects what a group's events mean for clients, and makes one publication a channel of it."""

    def __init__(self) -> None:
        self._users: defaultdict[int, _Touched] = defaultdict(_Touched)
        self._revoked: list[tuple[Revocation, int]] = []
        self._row = 0

    def add(self, event: object, row: int) -> None:
        """Note an event of the group's `row`-th journal row."""
        self._row = row
        _TELL[type(event)](self, event)

    def items(self, state: GameState, now: int) -> list[tuple[Publication | Revocation, int]]:
        """All publications with their new offsets (which this books on the user rows), each with its row."""
        at = rfc3339(now)
        found: list[tuple[Publication | Revocation, int]] = []
        for user_id, touched in self._users.items():
            user = state.users.edit(user_id)
            user.user_pos += 1
            data = _encode(self._user_data(state, user, touched, at))
            found.append((Publication(user_channel(user_id), user.user_pos, data, 0), touched.row))
            if touched.balls is not None:
                user.forest_pos += 1
                data = _encode(_forest_data(state, touched.balls, at))
                found.append((Publication(forest_channel(user_id), user.forest_pos, data, 0), touched.row))
        found += self._revoked
        return found

    def _user_data(self, state: GameState, user: User, touched: _Touched, at: str) -> dict[str, object]:
        data: dict[str, object] = {"type": "user.changed", "v": VERSION, "at": at}
        if touched.account:
            data |= account_facts(user)
        if touched.balls:
            data["balls"] = [ball_facts(state.balls[ball], True) for ball in touched.balls]
        if touched.took:
            data["took"] = touched.took
        if touched.activities:
            data["activities"] = [activity_facts(state.activities[name]) for name in touched.activities]
        if touched.trees:
            data["trees"] = [tree_facts(state.trees[tree]) for tree in touched.trees]
        if touched.friends:
            data["friends"] = [
                {"user": str(friend), "state": relation} for friend, relation in touched.friends.items()
            ]
        return data

    def touch(self, user: int) -> _Touched:
        """The user's part; from now on it is told by the current row."""
        touched = self._users[user]
        touched.row = self._row
        return touched

    def revoke(self, user: int, channel: str | None) -> None:
        """End a permission."""
        self._revoked.append((Revocation(user, channel), self._row))


def _forest_data(state: GameState, balls: Iterable[int], at: str) -> dict[str, object]:
    facts = [ball_facts(state.balls[ball], False) for ball in balls]
    return {"type": "forest.changed", "v": VERSION, "at": at, "balls": facts}


# --- what each event means ------------------------------------------------------------------------


def _silent(telling: Telling, event: Any) -> None:
    """The event changes nothing that a client could have loaded."""


def _accepted(telling: Telling, event: e.ActivityAccepted) -> None:
    touched = telling.touch(event.activity.user_id)
    touched.account = True
    touched.activity(event.activity.source, event.activity.activity)
    if event.ball is not None:
        touched.ball(event.ball.id)


def _revised(telling: Telling, event: e.ActivityRevised) -> None:
    touched = telling.touch(event.user)
    touched.account = True
    touched.activity(event.source, event.activity)
    if event.energy_delta_g or event.floor_g:  # at a cap the grams stay and only the avoided emissions change
        touched.ball(event.id)


def _reversed(telling: Telling, event: e.ActivityReversed) -> None:
    touched = telling.touch(event.user)
    touched.account = True
    touched.activity(event.source, event.activity)
    if event.from_ball_g:
        touched.ball(event.id)


def _excluded(telling: Telling, event: e.ActivityExcluded) -> None:
    touched = telling.touch(event.user)
    touched.account = True
    touched.activity(event.source, event.activity)
    if event.from_ball_g:
        touched.ball(event.id)


def _restored(telling: Telling, event: e.ActivityRestored) -> None:
    touched = telling.touch(event.user)
    touched.account = True
    touched.activity(event.source, event.activity)
    if event.ball is not None:
        touched.ball(event.id)


def _collected(telling: Telling, event: e.EnergyCollected) -> None:
    telling.touch(event.owner).ball(event.ball)
    touched = telling.touch(event.collector)
    touched.account = True
    touched.take(event.ball, event.owner, event.energy_g)


def _friends(telling: Telling, user: int, friend: int, relation: str) -> None:
    telling.touch(user).friend(friend, relation)


def _asked(telling: Telling, event: e.FriendAsked) -> None:
    _friends(telling, event.user, event.friend, "asked")
    _friends(telling, event.friend, event.user, "asking")


def _began(telling: Telling, event: e.FriendshipBegan) -> None:
    _friends(telling, event.user, event.friend, "friends")
    _friends(telling, event.friend, event.user, "friends")


def _ended(telling: Telling, event: e.FriendshipEnded) -> None:
    for user, friend in ((event.user, event.friend), (event.friend, event.user)):
        _friends(telling, user, friend, "none")
        if event.was_friends:
            telling.revoke(user, forest_channel(friend))


def _blocked(telling: Telling, event: e.UserBlocked) -> None:
    _friends(telling, event.user, event.friend, "blocked" if event.blocked else "none")


def _state_changed(telling: Telling, event: e.AccountStateChanged) -> None:
    if event.state != "active":
        telling.revoke(event.user, None)
        return
    touched = telling.touch(event.user)
    touched.account = True
    touched.forest()


def _erased(telling: Telling, event: e.AccountErased) -> None:
    for user, friend, relation in event.friends:
        other = friend if user == event.user else user
        if user == event.user and relation == "blocked":
            continue  # whoever was blocked was never told
        _friends(telling, other, event.user, "none")
        if relation == "friends" and other == user:  # of its two rows one is enough
            telling.revoke(other, forest_channel(event.user))
    telling.revoke(event.user, None)


def _redeemed(telling: Telling, event: e.TreeRedeemed) -> None:
    touched = telling.touch(event.tree.user_id)
    touched.account = True
    touched.tree(event.tree.id)


def _advanced(telling: Telling, event: e.TreeAdvanced | e.TreeKept) -> None:
    telling.touch(event.user).tree(event.tree)


def _withdrawn(telling: Telling, event: e.TreeWithdrawn) -> None:
    touched = telling.touch(event.user)
    touched.account = True
    touched.tree(event.tree)


_TELL: dict[type, Callable[[Telling, Any], None]] = {
    e.AccountOpened: _silent,
    e.AccountChanged: _silent,
    e.AccountStateChanged: _state_changed,
    e.AccountErased: _erased,
    e.SourceChanged: _silent,
    e.LinkChanged: _silent,
    e.ActivityAccepted: _accepted,
    e.ActivityRevised: _revised,
    e.RevisionRecorded: _silent,
    e.ActivityReversed: _reversed,
    e.ActivityExcluded: _excluded,
    e.ActivityRestored: _restored,
    e.PhotoKept: _silent,
    e.ReviewOpened: _silent,
    e.ReviewDecided: _silent,
    e.EnergyCollected: _collected,
    e.EnergyExpired: _silent,
    e.FriendAsked: _asked,
    e.FriendshipBegan: _began,
    e.FriendshipEnded: _ended,
    e.UserBlocked: _blocked,
    e.ProgrammeFunded: _silent,
    e.StockGranted: _silent,
    e.TreeRedeemed: _redeemed,
    e.TreeAdvanced: _advanced,
    e.TreeKept: _advanced,
    e.TreeWithdrawn: _withdrawn,
}

SILENT = frozenset(kind for kind, rule in _TELL.items() if rule is _silent)


def events_told() -> Iterable[type]:
    """All kinds of event that clients may be told of."""
    return _TELL.keys()
