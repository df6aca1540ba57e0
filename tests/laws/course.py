"""A seeded random course through the game: one generator for each type of event, by commands and by real sockets."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from engine.core import commands as c
from engine.core import events as e
from engine.core.numbers import parse_tree_number
from engine.core.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, local_day, rfc3339
from tests.laws.follower import Follower
from tests.laws.model import Facts
from tests.laws.rules import PROGRAMME
from tests.realtime.village import SOURCE, Village

RIDES = ("bus", "metro")
LINKED = (*RIDES, "walking")
ZONE = "Asia/Shanghai"
TREE_G = 50  # what bent_rules is asked for: less than one ride


class Course:
    """Three friends with their devices, strangers who come and go, and what has happened so far."""

    def __init__(self, villages: Sequence[Village], dice: random.Random) -> None:
        """`villages`: the processes on one database; commands go to the first, devices connect to all in turn."""
        self.villages, self.dice = villages, dice
        self.village = villages[0]
        self.cast: list[str] = []
        self.devices: list[Follower] = []
        self.suspended: set[str] = set()
        self.apart: set[tuple[str, str]] = set()
        self.acts: list[str] = []
        self.trees: list[str] = []
        self.owners: dict[str, str] = {}
        self.seen: Counter[type] = Counter()
        self._numbers = 0
        self.photographer = ""
        for village in villages:
            self._watch_events(village)

    def _watch_events(self, village: Village) -> None:
        """Count every event that the writer evolves."""
        evolve = village.engine.writer._decider._evolve

        def counting(kind: type, rule: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
            def counted(state: Any, event: Any) -> None:
                self.seen[kind] += 1
                rule(state, event)

            return counted

        for kind, rule in list(evolve.items()):
            evolve[kind] = counting(kind, rule)

    async def open(self) -> None:
        """The cast, all friends, and a phone each; the first has a tablet, too."""
        await self.village.do(c.AddSource(None, SOURCE, "City", "s" * 32, LINKED))
        self.cast = [await self.stranger() for _ in range(3)]
        one, two, three = self.cast
        for pair in ((one, two), (one, three), (two, three)):
            await self.village.befriend(*pair)
        for user, watched in ((one, [two]), (one, []), (two, [one, three]), (three, [one])):
            url = self.villages[len(self.devices) % len(self.villages)].url
            device = Follower(url, user, self.village.token(user), watched, self.dice)
            self.devices.append(device)
            device.start()

    async def close(self) -> None:
        for device in self.devices:
            await device.stop()

    # --- pieces

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def active(self) -> list[str]:
        return [user for user in self.cast if user not in self.suspended]

    def somebody(self) -> str:
        return self.dice.choice(self.active())

    def device(self, user: str) -> Follower:
        return self.dice.choice([device for device in self.devices if device.user == user])

    async def stranger(self) -> str:
        """A new account, linked to the source."""
        reply = await self.village.do(c.OpenAccount(None, None, f"Villager {self.number()}", ZONE))
        user = str(reply["user"])
        await self.village.do(c.LinkSource(None, int(user), SOURCE, f"subject-{user}", LINKED))
        return user

    async def call(self, who: str, method: str, **data: Any) -> Facts:
        """By a device of the user."""
        return await self.device(who).call(method, {"key": self.village.key()} | data)

    async def report(self, user: str, behaviour: str, **fields: Any) -> Facts:
        """A new act; its reply."""
        act = f"act-{self.number()}"
        unit = "step" if behaviour == "walking" else "ride"
        values: dict[str, Any] = {"quantity": Decimal(1), "unit": unit, "content": act} | fields
        command = c.ReportActivity(SOURCE, act, f"subject-{user}", behaviour, **values)
        reply = await self.village.do(command)
        self.acts.append(act)
        return reply

    async def walk(self, user: str, act: str, steps: int, revision: int, day: date | None = None) -> Facts:
        """The steps of today (or the day) so far, as one act."""
        today: date = day or local_day(self.village.clock.now_ms(), ZONE)
        content = f"{act}-{revision}-{steps}"
        command = c.ReportActivity(
            SOURCE,
            act,
            f"subject-{user}",
            "walking",
            Decimal(steps),
            "step",
            content,
            on=today,
            revision=revision,
        )
        if act not in self.acts:
            self.acts.append(act)
        return await self.village.do(command)

    async def ripe_ball(self, user: str) -> str:
        """A ball that the user's friends may take from now; its id. Caps of the day are stepped over by time."""
        while True:
            at = self.village.clock.now_ms() - 25 * HOUR_MS  # of another time than any other ride
            reply = await self.report(user, self.dice.choice(RIDES), at=at)
            self.pass_time(6 * MINUTE_MS)  # past the head start, and another ride than the next
            if "ball" in reply:
                return str(reply["ball"])
            self.pass_time(DAY_MS)

    def pass_time(self, ms: int) -> None:
        self.village.clock.shift_ms += ms

    async def take_energy(self, user: str) -> None:
        ball = await self.ripe_ball(user)
        reply = await self.call(user, "ball.collect", balls=[ball])
        assert "energy_g" in reply["results"][0], reply

    # --- accounts, sources, consents

    async def account_opened(self) -> None:
        await self.stranger()

    async def account_changed(self) -> None:
        name = f"Renamed {self.number()}"
        zone = self.dice.choice((None, "Asia/Singapore", ZONE))
        await self.village.do(c.ChangeAccount(None, int(self.somebody()), name, zone))

    async def account_state_changed(self) -> None:
        if self.suspended:
            user = self.suspended.pop()
            await self.village.do(c.ResumeAccount(None, int(user)))
            for device in self.devices:
                if device.user == user:
                    await device.stop()
                    device.start()
        else:
            user = self.dice.choice(self.cast)
            await self.village.do(c.SuspendAccount(None, int(user)))
            self.suspended.add(user)

    async def account_erased(self) -> None:
        """Of a stranger who stands to each of the cast in another way."""
        stranger = await self.stranger()
        for user in self.active():
            await self.dice.choice((self._befriend, self._ask, self._be_asked, self._block))(user, stranger)
        await self.village.do(c.CloseAccount(None, int(stranger)))

    async def source_changed(self) -> None:
        until = self.village.clock.now_ms() + DAY_MS
        await self.village.do(c.RotateSource(None, SOURCE, f"{self.number():032d}", until))

    async def link_changed(self) -> None:
        user = self.somebody()
        await self.village.do(c.WithdrawLink(None, int(user), SOURCE, f"subject-{user}"))
        await self.village.do(c.LinkSource(None, int(user), SOURCE, f"subject-{user}", LINKED))

    # --- activities and balls

    async def activity_accepted(self) -> None:
        ages = (0, 23 * HOUR_MS, 24 * HOUR_MS - 2 * SECOND_MS, 26 * HOUR_MS, 4 * DAY_MS, 40 * DAY_MS)
        at = self.village.clock.now_ms() - self.dice.choice(ages)
        await self.report(self.somebody(), self.dice.choice(RIDES), at=at)

    async def activity_revised(self) -> None:
        user, act = self.somebody(), f"walk-{self.number()}"
        for revision, steps in enumerate(
            sorted(self.dice.sample((40, 5_000, 9_000, 20_000, 30_000, 45_000), 3)), 1
        ):
            await self.walk(user, act, steps, revision)

    async def activity_excluded(self) -> None:
        """Of two devices' steps of a day the greater count; the lesser may have been collected by then."""
        user, steps = self.somebody(), 5_000 + self.number()
        one, two = f"walk-{self.number()}", f"walk-{self.number()}"
        today: date = local_day(self.village.clock.now_ms(), ZONE)
        reply = await self.walk(user, one, steps, 1)
        while "ball" not in reply:  # of this day another device has told more already
            self.pass_time(DAY_MS)
            today = local_day(self.village.clock.now_ms(), ZONE)
            reply = await self.walk(user, one := f"walk-{self.number()}", steps, 1)
        if self.dice.random() < 0.5:
            self.pass_time(35 * HOUR_MS)
            if self.dice.random() < 0.5:
                await self._take(self.somebody(), user, [str(reply["ball"])])
        await self.walk(user, two, 2 * steps, 1, today)

    async def activity_restored(self) -> None:
        """What was in the way of the lesser steps is taken back."""
        before = self.seen[e.ActivityRestored]
        while self.seen[e.ActivityRestored] == before:
            self.pass_time(DAY_MS)
            user, act = self.somebody(), f"walk-{self.number()}"
            await self.walk(user, f"walk-{self.number()}", 6_000, 1)
            await self.walk(user, act, 40_000, 1)
            self.acts.remove(act)
            await self.village.do(c.ReverseActivity(SOURCE, act, "for the course"))

    async def revision_recorded(self) -> None:
        user, act = self.somebody(), f"walk-{self.number()}"
        await self.walk(user, act, 8_000, 5)
        await self.walk(user, act, 4_000, 3)

    async def activity_reversed(self) -> None:
        if self.dice.random() < 0.5 or not self.acts:
            user = self.somebody()
            ball = await self.ripe_ball(user)
            if self.dice.random() < 0.5:
                await self._take(self.somebody(), user, [ball])
        act = self.dice.choice(self.acts[-6:])
        self.acts.remove(act)
        await self.village.do(c.ReverseActivity(SOURCE, act, "for the course"))

    async def photo_kept(self) -> str:
        """The name of a new photo, which looks like an earlier one half of the time."""
        name, looks = f"{self.number():064x}", f"{self.dice.randint(0, 1):016x}"
        self.photographer = self.somebody()
        alike = ("0" * 64,) if looks[-1] == "1" else ()
        await self.village.do(c.KeepPhoto(int(self.photographer), name, name, 640, 480, looks, alike))
        return name

    async def review_opened(self) -> str:
        """A ride that is shown, by a photo that looks like another's; the activity."""
        before = self.seen[e.ReviewOpened]
        while self.seen[e.ReviewOpened] == before:
            self.pass_time(DAY_MS)
            photo, at = await self.photo_kept(), rfc3339(self.village.clock.now_ms() - HOUR_MS)
            shown = {"behaviour": "bus", "quantity": 1, "unit": "ride", "photo": photo, "at": at}
            reply = await self.call(self.photographer, "activity.submit", **shown)
        return str(reply["activity"])

    async def review_decided(self) -> None:
        activity = int(await self.review_opened())
        if self.dice.random() < 0.5:
            self.pass_time(26 * HOUR_MS)
            await self._take(self.somebody(), self.photographer, [str(activity)])
        accept = self.dice.random() < 0.5
        await self.village.do(c.ReviewActivity(self.village.key(), activity, accept, "Course"))

    async def energy_collected(self) -> None:
        """Somebody's balls, pressed by friends' devices at once, the owner's too or later or never.

        Some presses are refused, and that changes nothing.
        """
        owner = self.somebody()
        balls = [await self.ripe_ball(owner) for _ in range(self.dice.randint(1, 3))]
        spares = self.dice.random() < 0.6
        pressing = [
            self._take(device.user, owner, balls)
            for device in self.devices
            if device.user not in self.suspended and not (spares and device.user == owner)
        ]
        before = self.seen[e.EnergyCollected]
        await asyncio.gather(*pressing)
        if self.seen[e.EnergyCollected] == before:
            await self._take(owner, owner, balls)

    async def _take(self, user: str, owner: str, balls: list[str]) -> Facts:
        wish: list[str] | str = "all" if self.dice.random() < 0.3 else balls
        return await self.call(user, "ball.collect", owner=owner, balls=wish)

    async def energy_expired(self) -> None:
        await self.ripe_ball(self.somebody())
        self.pass_time(73 * HOUR_MS)
        now = self.village.clock.now_ms()
        async with self.village.engine.db.snapshot() as view:
            due = await view.fetch(
                "SELECT id, owner FROM balls WHERE expires_at <= ? AND remaining_g > 0", now
            )
        await self.village.do(c.BookExpiry(tuple((ball, owner) for ball, owner in due)))

    # --- friends

    async def _ask(self, user: str, other: str) -> None:
        await self.call(user, "friend.request", user=other)

    async def _be_asked(self, user: str, other: str) -> None:
        await self.village.do(c.RequestFriend(self.village.key(), int(other), int(user)))

    async def _befriend(self, user: str, other: str) -> None:
        await self._be_asked(user, other)
        await self.call(user, "friend.answer", user=other)

    async def _block(self, user: str, other: str) -> None:
        await self.dice.choice((self._befriend, self._ask, self._be_asked))(user, other)
        await self.call(user, "friend.block", user=other)

    async def friend_asked(self) -> None:
        await self.dice.choice((self._ask, self._be_asked))(self.somebody(), await self.stranger())

    async def friendship_began(self) -> None:
        for one, other in sorted(self.apart):
            if not {one, other} & self.suspended:
                self.apart.discard((one, other))
                await self.call(one, "friend.block", user=other, blocked=False)
                await self.call(one, "friend.request", user=other)
                await self.call(other, "friend.answer", user=one)
                return
        await self._befriend(self.somebody(), await self.stranger())

    def _friends(self) -> tuple[str, str] | None:
        """Two of the cast who are friends, none of them suspended."""
        active = self.active()
        pairs = [(one, two) for one in active for two in active if one != two]
        together = [pair for pair in pairs if not {pair, pair[::-1]} & self.apart]
        return self.dice.choice(together) if together else None

    async def friendship_ended(self) -> None:
        pair = self._friends()
        if pair is not None and self.dice.random() < 0.7:
            self.apart.add(pair)
            await self.call(pair[0], "friend.remove", user=pair[1])
            return
        user, stranger = self.somebody(), await self.stranger()
        if self.dice.random() < 0.5:
            await self._be_asked(user, stranger)
            await self.call(user, "friend.answer", user=stranger, accept=False)
        else:
            await self._ask(user, stranger)
            await self.call(user, "friend.remove", user=stranger)

    async def user_blocked(self) -> None:
        pair = self._friends()
        if pair is not None and self.dice.random() < 0.3:
            self.apart.add(pair)
            await self.call(pair[0], "friend.block", user=pair[1])
            return
        user, stranger = self.somebody(), await self.stranger()
        await self._block(user, stranger)
        if self.dice.random() < 0.5:
            await self.call(user, "friend.block", user=stranger, blocked=False)

    # --- trees

    async def programme_funded(self) -> None:
        await self.village.do(c.FundProgramme(None, PROGRAMME, "A fund", "CNY", 738, 738 * 3))

    async def stock_granted(self) -> None:
        await self.programme_funded()
        await self.village.do(c.GrantStock(None, PROGRAMME, 3))

    async def tree_redeemed(self) -> None:
        await self.stock_granted()
        user = self.somebody()
        while True:
            await self.take_energy(user)
            reply = await self.call(user, "offer.redeem", offer=PROGRAMME)
            if "tree" in reply:  # a debt may have swallowed the energy
                self.trees.append(reply["tree"])
                self.owners[reply["tree"]] = user
                return

    async def tree_advanced(self) -> None:
        if not self.trees:
            await self.tree_redeemed()
        numbers = self.dice.sample(self.trees, self.dice.randint(1, min(3, len(self.trees))))
        state, note = self.dice.choice(("ordered", "planted", "verified")), f"note {self.number()}"
        trees = tuple(parse_tree_number(number) for number in numbers)
        await self.village.do(c.AdvanceTrees(trees, state, note))

    async def tree_kept(self) -> None:
        tree = await self._tree_without_place()
        await self.call(self.owners[tree], "tree.choose", tree=tree, choice="wait")

    async def tree_withdrawn(self) -> None:
        tree = await self._tree_without_place()
        reply = await self.call(self.owners[tree], "tree.choose", tree=tree, choice="energy_back")
        if "tree" in reply:
            self.trees.remove(tree)

    async def _tree_without_place(self) -> str:
        await self.tree_redeemed()
        tree = self.trees[-1]
        note = f"no_place:{self.number()}"
        await self.village.do(c.AdvanceTrees((parse_tree_number(tree),), "pledged", note, True, None))
        return tree


GENERATORS: dict[type, Callable[[Course], Awaitable[object]]] = {
    e.AccountOpened: Course.account_opened,
    e.AccountChanged: Course.account_changed,
    e.AccountStateChanged: Course.account_state_changed,
    e.AccountErased: Course.account_erased,
    e.SourceChanged: Course.source_changed,
    e.LinkChanged: Course.link_changed,
    e.ActivityAccepted: Course.activity_accepted,
    e.ActivityRevised: Course.activity_revised,
    e.ActivityExcluded: Course.activity_excluded,
    e.ActivityRestored: Course.activity_restored,
    e.RevisionRecorded: Course.revision_recorded,
    e.ActivityReversed: Course.activity_reversed,
    e.PhotoKept: Course.photo_kept,
    e.ReviewOpened: Course.review_opened,
    e.ReviewDecided: Course.review_decided,
    e.EnergyCollected: Course.energy_collected,
    e.EnergyExpired: Course.energy_expired,
    e.FriendAsked: Course.friend_asked,
    e.FriendshipBegan: Course.friendship_began,
    e.FriendshipEnded: Course.friendship_ended,
    e.UserBlocked: Course.user_blocked,
    e.ProgrammeFunded: Course.programme_funded,
    e.StockGranted: Course.stock_granted,
    e.TreeRedeemed: Course.tree_redeemed,
    e.TreeAdvanced: Course.tree_advanced,
    e.TreeKept: Course.tree_kept,
    e.TreeWithdrawn: Course.tree_withdrawn,
}
