"""Collecting from balls, and booking what nobody collected."""

from collections.abc import Iterator

from engine.core.commands import BookExpiry, CollectAll, CollectEnergy
from engine.core.context import Context, spread
from engine.core.errors import Rejected
from engine.core.events import Decision, EnergyCollected, EnergyExpired
from engine.core.state import Ball, GameState, Touch, User
from engine.core.units import rfc3339


def collect_touches(command: CollectEnergy, state: GameState) -> Iterator[Touch]:
    yield Touch("users", command.user)
    if command.owner != command.user:
        yield Touch("users", command.owner)
        yield Touch("friends", (command.user, command.owner))
    for ball in command.balls:
        yield Touch("balls", ball)


def collect(state: GameState, command: CollectEnergy, context: Context) -> Decision:
    """All balls of the command one by one; refusals are results of their own, beside the grams of the others.

    A ball that is named twice is taken from once.
    """
    user = active_user(state, command.user)
    if command.owner != command.user:
        check_friends(state, command.user, command.owner)
    events: list[object] = []
    results: list[dict[str, object]] = []
    debt_g, wallet_g = user.debt_g, user.wallet_g
    for ball_id in dict.fromkeys(command.balls):
        try:
            ball = owned_ball(state, ball_id, command.owner)
            energy_g = _takeable_g(ball, command.user, context)
        except Rejected as refusal:
            results.append({"ball": str(ball_id), "error": refusal.code, **refusal.fields})
            continue
        repaid_g = min(debt_g, energy_g)
        debt_g -= repaid_g
        wallet_g += energy_g - repaid_g
        events.append(EnergyCollected(ball_id, command.owner, command.user, energy_g, repaid_g, command.key))
        results.append({"ball": str(ball_id), "energy_g": energy_g})
    return Decision(events, {"results": results, "wallet_g": wallet_g})


def collect_all(state: GameState, command: CollectAll, context: Context) -> Decision:
    """Like `collect`, of the balls that were found; a ball that gives nothing any more says why."""
    decision = collect(state, command, context)
    return Decision(decision.events, {**decision.reply, "more": command.more})


def active_user(state: GameState, user_id: int) -> User:
    """The user's row. Raises Rejected unless the account is open and active."""
    user = state.users.get(user_id)
    if user is None:
        raise Rejected("unknown_user")
    if user.state != "active":
        raise Rejected(f"account_{user.state}")
    return user


def check_friends(state: GameState, user: int, other: int) -> None:
    """Raises Rejected(not_friends), also where the other account is gone: ids can't be probed."""
    row = state.friends.get((user, other))
    owner = state.users.get(other)
    if row is None or row.state != "friends" or owner is None or owner.state != "active":
        raise Rejected("not_friends")


def owned_ball(state: GameState, ball_id: int, owner: int) -> Ball:
    """The ball, if it lies in that forest. Raises Rejected(unknown_ball)."""
    ball = state.balls.get(ball_id)
    if ball is None or ball.owner != owner:
        raise Rejected("unknown_ball")
    return ball


def _takeable_g(ball: Ball, user: int, context: Context) -> int:
    """The grams this user gets now. Raises Rejected; a first receipt outlives everything else."""
    now = context.now
    for taker, energy_g, key in ball.takers:
        if taker == user:
            raise Rejected("already_collected", energy_g=energy_g, key=key)
    if now < ball.ripens_at:
        raise Rejected("not_ripe", ripens_at=rfc3339(ball.ripens_at))
    if now >= ball.expires_at:
        raise Rejected("expired", expires_at=rfc3339(ball.expires_at))
    if user == ball.owner:
        left_g = ball.remaining_g
    elif now < ball.friends_from_at:
        raise Rejected("head_start", friends_from_at=rfc3339(ball.friends_from_at))
    else:
        share_g = friends_share_g(ball, context.draw(ball.id, user), friends_before(ball))
        left_g = min(ball.remaining_g - ball.floor_g, share_g)
    if left_g <= 0:
        raise Rejected("nothing_left")
    return left_g


def friends_before(ball: Ball) -> int:
    """How many friends have taken from the ball; not counted where that lessens nothing."""
    return sum(taker[0] != ball.owner for taker in ball.takers) if ball.share_less_pct else 0


def friends_share_g(ball: Ball, draw: int, before: int) -> int:
    """What the draw gives a friend whom `before` others came before, until the owner's floor limits it.

    Each of them lessens it by `share_less_pct` per cent of what is drawn, rounded down once; one gram is always left.
    Recomputable from ball, draw and place.
    """
    drawn_g = spread(draw, ball.share_min_g, ball.share_max_g)
    if not ball.share_less_pct:
        return drawn_g
    return max(1, drawn_g * max(0, 100 - ball.share_less_pct * before) // 100)


def collected(state: GameState, event: EnergyCollected) -> None:
    ball = state.balls.edit(event.ball)
    ball.remaining_g -= event.energy_g
    ball.takers.append([event.collector, event.energy_g, event.key])
    user = state.users.edit(event.collector)
    user.wallet_g += event.energy_g - event.repaid_g
    user.debt_g -= event.repaid_g


def expiry_touches(command: BookExpiry, state: GameState) -> Iterator[Touch]:
    for ball, owner in command.balls:
        yield Touch("users", owner)
        yield Touch("balls", ball)


def book_expiry(state: GameState, command: BookExpiry, context: Context) -> Decision:
    """Only balls that are past their life and still hold grams; the rest is left as it is."""
    events: list[object] = []
    for ball_id, owner in dict.fromkeys(command.balls):
        ball = state.balls.get(ball_id)
        if ball is not None and ball.owner == owner and ball.expires_at <= context.now and ball.remaining_g:
            events.append(EnergyExpired(ball_id, owner, ball.remaining_g))
    return Decision(events, {"booked": len(events)})


def expired(state: GameState, event: EnergyExpired) -> None:
    state.balls.edit(event.ball).remaining_g -= event.energy_g
