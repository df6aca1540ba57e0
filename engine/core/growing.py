"""How an energy ball is made of an activity: its bounds, and what others are told of it."""

from engine.core.rules import BallPolicy, Behaviour
from engine.core.state import Activity, Ball
from engine.core.units import HOUR_MS, SECOND_MS


def new_ball(activity: Activity, behaviour: Behaviour, policy: BallPolicy, ripens_at: int) -> Ball:
    """A whole ball, growing until `ripens_at`."""
    floor_g, share_min_g, share_max_g = bounds(activity.energy_g, policy)
    return Ball(  # by place: a call with names takes three times as long
        activity.id,
        activity.user_id,
        activity.behaviour,
        _shown_as(behaviour),
        activity.energy_g,  # full_g
        activity.energy_g,  # remaining_g
        floor_g,
        share_min_g,
        share_max_g,
        activity.avoided_mg,
        ripens_at,
        ripens_at + policy.head_start_s * SECOND_MS,
        ripens_at + policy.life_h * HOUR_MS,
        [],
        policy.share_less_pct,
    )


def _shown_as(behaviour: Behaviour) -> str:
    """What other viewers are told about the act: its category, the behaviour itself, or only grams."""
    if behaviour.others_see == "category":
        return behaviour.category
    return behaviour.id if behaviour.others_see == "behaviour" else "grams"


def bounds(full_g: int, policy: BallPolicy) -> tuple[int, int, int]:
    """Owner's floor (rounded up) and the bounds of a friend's share (at least one gram) of a full ball."""
    floor_g = -(-full_g * policy.floor_pct // 100)
    share_min_g = max(1, full_g * policy.share_min_pct // 100)
    return floor_g, share_min_g, max(share_min_g, full_g * policy.share_max_pct // 100)


def grown_again(ball: Ball, whole: Ball, more_g: int, now: int) -> Ball:
    """The ball with more grams in it. `whole` is a new one for the same act, as its policy makes it.

    Where friends have taken from it, what they were drawn stays as it was, and the rest is the owner's.
    """
    full_g, remaining_g = ball.full_g + more_g, ball.remaining_g + more_g
    starts_anew = ball.remaining_g == 0 or now >= ball.expires_at
    times = whole if starts_anew else ball
    drawn = ball if ball.takers else whole
    friends_g = sum(taker[1] for taker in ball.takers)
    return Ball(
        id=ball.id,
        owner=ball.owner,
        behaviour=ball.behaviour,
        others_see=ball.others_see,
        full_g=full_g,
        remaining_g=remaining_g,
        floor_g=full_g - friends_g if ball.takers else whole.floor_g,
        share_min_g=drawn.share_min_g,
        share_max_g=drawn.share_max_g,
        avoided_mg=whole.avoided_mg,
        ripens_at=times.ripens_at,
        friends_from_at=times.friends_from_at,
        expires_at=times.expires_at,
        takers=[list(taker) for taker in ball.takers],
        share_less_pct=drawn.share_less_pct,
    )
