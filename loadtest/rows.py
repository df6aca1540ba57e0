"""The rows of a prefilled database, table by table, in key order and true to the ledger: what the journal moved is what
wallets and balls hold. Pure but for the time that it is given; it must not know how rows are stored.

Two thirds of the journal are history (older balls, minted and collected), one third minted the balls that lie ripe now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from engine.core.state import Activity, Ball, Friend, Identity, Source, User
from loadtest.population import Population

DAY_MS = 86_400_000
HISTORY_MS = 30 * DAY_MS
LIFE_MS = 20 * 365 * DAY_MS  # nothing expires while it is measured, also where a machine's clock is far off
SOURCE = "bench"
BEHAVIOUR = "walking"
SEEN_AS = "health"
AVOIDED_MG = 40_000
OLD_FULL_G = 100
OLD_SHARE_G = 7
OLD_ROWS_EACH = 3  # minted, taken from by a friend, emptied by the owner
JOURNAL_COLUMNS = ("id", "at", "kind", "actor", "key", "content", "transfers", "reply", "pubs")


@dataclass(frozen=True, slots=True)
class Load:
    """Rows for one table."""

    table: str
    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]
    count: int


def loads(population: Population, now: int) -> Iterator[Load]:
    """Everything, one table after the other. `now` is in ms since the epoch."""
    size = population
    yield Load(
        "sources",
        _columns(Source),
        iter([(SOURCE, "Benchmark", "-", None, None, '["walking"]', now, "[]", "{}")]),
        1,
    )
    yield Load("users", _columns(User), _users(size, now), size.users)
    yield Load("identities", _columns(Identity), _identities(size), size.users)
    yield Load("friends", _columns(Friend), _friends(size, now), 2 * sum(1 for _ in size.friendships()))
    yield Load("activities", _columns(Activity), _activities(size, now), size.balls)
    yield Load("balls", _columns(Ball), _balls(size, now), size.balls)
    yield Load("journal", JOURNAL_COLUMNS, _journal(size, now), size.balls + OLD_ROWS_EACH * old_balls(size))


def old_balls(population: Population) -> int:
    """How many balls lie behind: minted and collected, long empty."""
    return max(0, population.journal_rows - population.balls) // OLD_ROWS_EACH


def last_id(population: Population) -> int:
    """The highest id that is used for anything."""
    return max(population.users, population.balls + old_balls(population))


def full_g(ball: int) -> int:
    """Grams of a fresh ball: 100 to 296, as walking gives."""
    return 100 + ball * 7919 % 197


def _columns(row: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(row))


def _old_owner(population: Population, number: int) -> int:
    return 1 + number * 31 % population.users


def _old_friend(population: Population, number: int) -> int:
    return 1 + (number * 31 + 1) % population.users


def _users(population: Population, now: int) -> Iterator[tuple[Any, ...]]:
    wallets = [0] * (population.users + 1)
    positions = [0] * (population.users + 1)
    friends = [0] * (population.users + 1)
    for number in range(old_balls(population)):
        wallets[_old_owner(population, number)] += OLD_FULL_G - OLD_SHARE_G
        wallets[_old_friend(population, number)] += OLD_SHARE_G
    avoided = [0] * (population.users + 1)
    for number in range(old_balls(population)):
        avoided[_old_owner(population, number)] += AVOIDED_MG
    for serial in range(population.balls):
        avoided[population.owner_of(serial)] += AVOIDED_MG
    for user, friend in population.friendships():
        friends[user] += 1
        friends[friend] += 1
    opened_at = now - HISTORY_MS - DAY_MS
    for user in range(1, population.users + 1):
        yield (
            user, "active", "person", None, "Asia/Shanghai", None, None,
            wallets[user], 0, avoided[user], friends[user], positions[user], positions[user], opened_at,
        )  # fmt: skip


def _identities(population: Population) -> Iterator[tuple[Any, ...]]:
    for user in range(1, population.users + 1):
        yield user, f"User {user}", None


def _friends(population: Population, now: int) -> Iterator[tuple[Any, ...]]:
    since_at = now - HISTORY_MS
    both = [pair for one, other in population.friendships() for pair in ((one, other), (other, one))]
    both.sort()
    for user, friend in both:
        yield user, friend, "friends", since_at


def _activities(population: Population, now: int) -> Iterator[tuple[Any, ...]]:
    at = now - 2 * DAY_MS
    for ball in range(1, population.balls + 1):
        owner = population.owner_of(population.serial_of(ball))
        yield (
            ball, SOURCE, f"{ball:09d}", owner, BEHAVIOUR, "2026-01-01", at, "10000", "step", None, "-",
            "accepted", full_g(ball), AVOIDED_MG, at, None, None, None, None, "{}",
        )  # fmt: skip


def _balls(population: Population, now: int) -> Iterator[tuple[Any, ...]]:
    """A star's ball gives a gram to each friend, so that a hot ball has many takers and far more who come too late."""
    ripens_at = now - DAY_MS
    first_star = population.balls_of_star(0)[0]
    after_stars = population.balls_of_star(population.stars - 1)[-1] + 1
    for ball in range(1, population.balls + 1):
        serial = population.serial_of(ball)
        is_star = first_star <= serial < after_stars
        full = full_g(ball)
        yield (
            ball, population.owner_of(serial), BEHAVIOUR, SEEN_AS, full, full, (full + 1) // 2,
            1 if is_star else max(1, full // 50), 1 if is_star else max(1, full // 12), AVOIDED_MG,
            ripens_at, ripens_at + 60_000, ripens_at + LIFE_MS, "[]", 0,
        )  # fmt: skip


def _journal(population: Population, now: int) -> Iterator[tuple[Any, ...]]:
    number = old_balls(population)
    rows = population.balls + OLD_ROWS_EACH * number
    begin = now - HISTORY_MS
    row = 0
    for old in range(number):
        ball, owner = population.balls + 1 + old, _old_owner(population, old)
        friend = _old_friend(population, old)
        takes = ((owner, OLD_FULL_G - OLD_SHARE_G), (friend, OLD_SHARE_G))
        row += 1
        yield _minted(row, begin + row * HISTORY_MS // rows, ball, owner, OLD_FULL_G)
        for user, grams in takes:
            row += 1
            yield _collected(row, begin + row * HISTORY_MS // rows, ball, user, grams)
    for ball in range(1, population.balls + 1):
        row += 1
        owner = population.owner_of(population.serial_of(ball))
        yield _minted(row, begin + row * HISTORY_MS // rows, ball, owner, full_g(ball))


def _minted(row: int, at: int, ball: int, owner: int, grams: int) -> tuple[Any, ...]:
    transfers = (
        f'[["mint","carbon:{owner}","avoided",{AVOIDED_MG},"accepted"],'
        f'["mint","ball:{ball}","energy",{grams},"accepted"]]'
    )
    return row, at, "ReportActivity", None, None, "-", transfers, "{}", "[]"


def _collected(row: int, at: int, ball: int, user: int, grams: int) -> tuple[Any, ...]:
    key = f"{at >> 16:08x}-{at & 0xFFFF:04x}-7000-8000-{row:012x}"
    transfers = f'[["ball:{ball}","wallet:{user}","energy",{grams},"collected"]]'
    reply = f'{{"results":[{{"ball":"{ball}","energy_g":{grams}}}],"wallet_g":0}}'
    return row, at, "CollectEnergy", user, key, f"{row:032x}", transfers, reply, "[]"
