"""What villagers report: acts of the rulebook's behaviours as one source would tell them. Knows no engine."""

import random
from collections.abc import Sequence
from decimal import Decimal

from engine.core.commands import ReportActivity
from engine.core.rules import RuleBook
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, local_day, rfc3339
from engine.demo.people import ZONE, Villager
from engine.reported import Reported, command_of

SOURCE = "village"
DAILY = ("bus", "metro", "bike-sharing", "delivery-without-cutlery", "e-invoice")
RARE = ("utility-bill-online", "clothes-recycling")
INSTANT_NAMES = ("completed_at", "weighed_at", "visited_at")
QUICK = ("bus", "metro")  # ripen a fixed time after the act
DELIVERED = "delivery-without-cutlery"  # ripens a fixed time after it came, however long ago it was ordered
LATE_D = (2, 28)  # forgotten acts of these days; many days, so that no day's caps stop the goings-on


def steps_of_day(villager: Villager, at: int, dice: random.Random) -> ReportActivity:
    """The steps of the local day on which the instant falls."""
    day = local_day(at, ZONE)
    steps = max(500, int(dice.gauss(6000 + 9000 * villager.diligence, 3500)))
    reported = Reported(
        id=f"{villager.subject}:walking:{day}",
        subject=villager.subject,
        behaviour="walking",
        quantity=Decimal(min(steps, 40_000)),
        unit="step",
        on=day,
        revision=1,
    )
    return command_of(SOURCE, reported)


def act_at(
    villager: Villager,
    behaviour: str,
    at: int,
    rules: RuleBook,
    dice: random.Random,
    completed_at: int | None = None,
) -> ReportActivity:
    """One act at an instant, completed then or later; its id is made of its instant."""
    in_force = rules.behaviours[behaviour].on(local_day(at, ZONE))
    attributes: dict[str, str | int | float | None] = {}
    if in_force is not None:
        completed = rfc3339(at if completed_at is None else completed_at)
        attributes = {name: completed for name in in_force.attributes if name in INSTANT_NAMES}
        if "distance_km" in in_force.attributes:
            attributes["distance_km"] = round(dice.uniform(2, 14), 1)
    quantity = Decimal(dice.randint(2, 6)) if behaviour == "clothes-recycling" else Decimal(1)
    reported = Reported(
        id=f"{villager.subject}:{behaviour}:{at}",
        subject=villager.subject,
        behaviour=behaviour,
        quantity=quantity,
        unit=rules.behaviours[behaviour].unit,
        at=rfc3339(at),
        attributes=attributes,
    )
    return command_of(SOURCE, reported)


def day_of_acts(
    villager: Villager, evening: int, rules: RuleBook, dice: random.Random
) -> list[ReportActivity]:
    """All that a villager did in the hours before the evening, where the rulebook knows it."""
    acts = [steps_of_day(villager, evening, dice)]
    done = [behaviour for behaviour in _known(DAILY, rules) if dice.random() < villager.diligence]
    done += [behaviour for behaviour in done if behaviour in QUICK]  # there and back
    done += [one for one in _known(RARE, rules) if dice.random() < 0.08 * villager.diligence]
    acts += [act_at(villager, one, evening - _hours(dice, 1, 13), rules, dice) for one in done]
    return acts


def balls_of_all_ages(
    villagers: Sequence[Villager], now: int, rules: RuleBook, dice: random.Random
) -> list[tuple[int, ReportActivity]]:
    """Acts of the last four days, each with the instant when it is reported, oldest first.

    Their balls are then nearly expired, ripe, ripening within seconds and minutes, and still growing.
    """
    behaviours = _known(QUICK, rules)
    ripe_in = (
        (-72 * HOUR_MS + 4 * MINUTE_MS, -72 * HOUR_MS + 40 * MINUTE_MS),
        (-50 * HOUR_MS, -3 * HOUR_MS),
        (-2 * HOUR_MS, -2 * MINUTE_MS),
        (8 * SECOND_MS, 90 * SECOND_MS),
        (2 * MINUTE_MS, 25 * MINUTE_MS),
        (HOUR_MS, 20 * HOUR_MS),
    )
    planned: list[tuple[int, ReportActivity]] = []
    for villager in villagers:
        for low, high in ripe_in:
            at = now - DAY_MS + dice.randint(low, high)
            act = act_at(villager, dice.choice(behaviours), at, rules, dice)
            planned.append((at + MINUTE_MS, act))
    return sorted(planned, key=lambda one: one[0])


def ripening_soon(villager: Villager, now: int, rules: RuleBook, dice: random.Random) -> ReportActivity:
    """An act that was completed a day ago and is only reported now, so that its ball ripens within seconds.

    Rides of yesterday are soon stopped by yesterday's cap; meals ordered on some day before and delivered
    yesterday are not, for caps are of the day of the act. So there is something to see all day long.
    """
    completed_at = now - DAY_MS + dice.randint(6, 60) * SECOND_MS
    if DELIVERED in rules.behaviours and dice.random() < 0.5:
        ordered_at = completed_at - dice.randint(0, LATE_D[1] - 2) * DAY_MS
        return act_at(villager, DELIVERED, ordered_at, rules, dice, completed_at)
    return act_at(villager, dice.choice(_known(QUICK, rules)), completed_at, rules, dice)


def late_act(villager: Villager, now: int, rules: RuleBook, dice: random.Random) -> ReportActivity:
    """An act of some day of the last weeks that its source forgot: its ball is ripe at once."""
    at = now - dice.randint(LATE_D[0] * 24, LATE_D[1] * 24) * HOUR_MS + dice.randint(0, HOUR_MS)
    return act_at(villager, dice.choice(_known((*QUICK, "bike-sharing"), rules)), at, rules, dice)


def _known(behaviours: Sequence[str], rules: RuleBook) -> list[str]:
    return [behaviour for behaviour in behaviours if behaviour in rules.behaviours]


def _hours(dice: random.Random, low: int, high: int) -> int:
    return dice.randint(low * HOUR_MS, high * HOUR_MS)
