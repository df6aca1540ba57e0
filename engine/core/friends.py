"""Who may see and collect in whose forest: request, answer, remove, block."""

from collections.abc import Iterator

from engine.core.commands import AnswerFriend, BlockUser, RemoveFriend, RequestFriend
from engine.core.context import Context
from engine.core.energy import active_user
from engine.core.errors import Rejected
from engine.core.events import Decision, FriendAsked, FriendshipBegan, FriendshipEnded, UserBlocked
from engine.core.state import Friend, GameState, Touch
from engine.core.units import local_day

FriendCommand = RequestFriend | AnswerFriend | RemoveFriend | BlockUser


def touches(command: FriendCommand, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    yield Touch("users", command.friend)
    yield Touch("friends", (command.user, command.friend))
    yield Touch("friends", (command.friend, command.user))


def _states(state: GameState, command: FriendCommand) -> tuple[str | None, str | None]:
    """How each sees the other: asked, friends, blocked or nothing."""
    mine = state.friends.get((command.user, command.friend))
    theirs = state.friends.get((command.friend, command.user))
    return (mine.state if mine else None), (theirs.state if theirs else None)


def _reply(command: FriendCommand, relation: str) -> dict[str, object]:
    return {"user": str(command.friend), "state": relation}


def request(state: GameState, command: RequestFriend, context: Context) -> Decision:
    user = active_user(state, command.user)
    if command.user == command.friend:
        raise Rejected("self_friend")
    other = state.users.get(command.friend)
    mine, theirs = _states(state, command)
    if other is None or other.state != "active" or "blocked" in (mine, theirs):
        raise Rejected("not_available")
    if mine == "friends":
        raise Rejected("already_friends")
    if mine == "asked":
        raise Rejected("already_asked")
    if theirs == "asked":
        _check_room(context, user.friend_count, other.friend_count)
        return Decision(
            [FriendshipBegan(command.user, command.friend, context.now)], _reply(command, "friends")
        )
    return Decision([FriendAsked(command.user, command.friend, context.now)], _reply(command, "asked"))


def _check_room(context: Context, *counts: int) -> None:
    limit = context.rules.game_on(local_day(context.now, "UTC")).friends_max
    if max(counts) >= limit:
        raise Rejected("too_many_friends", friends_max=limit)


def answer(state: GameState, command: AnswerFriend, context: Context) -> Decision:
    user = active_user(state, command.user)
    mine, theirs = _states(state, command)
    if mine == "friends":
        raise Rejected("already_friends")
    if theirs != "asked":
        raise Rejected("not_asked")
    if not command.accept:
        return Decision([FriendshipEnded(command.user, command.friend, False)], _reply(command, "declined"))
    other = active_user(state, command.friend)
    _check_room(context, user.friend_count, other.friend_count)
    return Decision([FriendshipBegan(command.user, command.friend, context.now)], _reply(command, "friends"))


def remove(state: GameState, command: RemoveFriend, context: Context) -> Decision:
    active_user(state, command.user)
    mine, _ = _states(state, command)
    if mine not in ("friends", "asked"):
        raise Rejected("not_friends")
    ended = FriendshipEnded(command.user, command.friend, mine == "friends")
    return Decision([ended], _reply(command, "removed"))


def block(state: GameState, command: BlockUser, context: Context) -> Decision:
    active_user(state, command.user)
    if command.user == command.friend:
        raise Rejected("self_friend")
    mine, theirs = _states(state, command)
    if state.users.get(command.friend) is None:
        raise Rejected("not_available")
    relation = "blocked" if command.blocked else "none"
    if (mine == "blocked") == command.blocked:
        return Decision([], _reply(command, relation))
    events: list[object] = []
    if command.blocked and (mine is not None or theirs in ("friends", "asked")):
        events.append(FriendshipEnded(command.user, command.friend, mine == "friends"))
    events.append(UserBlocked(command.user, command.friend, command.blocked, context.now))
    return Decision(events, _reply(command, relation))


# --- evolve ---------------------------------------------------------------------------------------


def _set(state: GameState, user: int, friend: int, relation: str, at: int) -> None:
    if state.friends.get((user, friend)) is None:
        state.friends.add((user, friend), Friend(user, friend, relation, at))
        return
    row = state.friends.rewrite((user, friend))
    row.state, row.since_at = relation, at


def asked(state: GameState, event: FriendAsked) -> None:
    _set(state, event.user, event.friend, "asked", event.at)


def began(state: GameState, event: FriendshipBegan) -> None:
    for user, friend in ((event.user, event.friend), (event.friend, event.user)):
        _set(state, user, friend, "friends", event.at)
        state.users.rewrite(user).friend_count += 1


def ended(state: GameState, event: FriendshipEnded) -> None:
    for user, friend in ((event.user, event.friend), (event.friend, event.user)):
        row = state.friends.get((user, friend))
        if row is not None and row.state != "blocked":
            state.friends.remove((user, friend))
        if event.was_friends:
            state.users.rewrite(user).friend_count -= 1


def blocked(state: GameState, event: UserBlocked) -> None:
    if event.blocked:
        _set(state, event.user, event.friend, "blocked", event.at)
    else:
        state.friends.remove((event.user, event.friend))
