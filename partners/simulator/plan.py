"""How the simulated NGO will go about an order: decided once, when the order arrives; then it only depends
on time.

Pure. Faults are part of the plan: what it answers, how much, what it gets wrong, and how its messages go out.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

ANSWERS = ("accept", "reject", "partial", "silence")
TIMEOUTS = ("", "before", "after")
WRONGS = ("", "species", "trees", "price", "over_accept", "over_report", "changed", "reference", "garbage")
SHORT_PCT_MAX = 100


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, on demand.

    `answer`: accept, reject, partial (`partial_pct` of the trees) or silence. `wrong`: what an answer gets
    wrong. `timeout`: the next order requests hang before or after their effect, `errors`: they fail with
    500, `hidden_errors`: they answer 200 with an error inside; each counts down. `slow_s`: every answer
    waits so long. `duplicates`: each message is sent twice. `shuffle`: messages overtake one another.
    `mute`: no messages at all, only polling helps.
    """

    answer: str = "accept"
    partial_pct: int = 60
    wrong: str = ""
    shortfall_pct: int = 0
    timeout: str = ""
    timeouts: int = 1
    errors: int = 0
    hidden_errors: int = 0
    slow_s: float = 0.0
    duplicates: bool = False
    shuffle: bool = False
    mute: bool = False
    without_photos: bool = False

    def changed(self, wishes: dict[str, Any]) -> Faults:
        """These faults with some changed. Raises ValueError naming what is not known."""
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        for name, value in wishes.items():
            if name not in known:
                raise ValueError(f"no fault {name!r}; there are {', '.join(known)}")
            if not isinstance(value, known[name]) and not (known[name] is float and isinstance(value, int)):
                raise ValueError(f"{name} is a {known[name].__name__}")
        asked = replace(self, **wishes)
        for name, allowed in (("answer", ANSWERS), ("timeout", TIMEOUTS), ("wrong", WRONGS)):
            if getattr(asked, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(map(repr, allowed))}")
        return asked

    def as_dict(self) -> dict[str, Any]:
        """All faults by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pace:
    """When things happen, in milliseconds after the order arrived."""

    answer_ms: int = 2000
    start_ms: int = 4000
    half_ms: int = 6000
    done_ms: int = 8000

    def times(self, factor: float) -> Pace:
        """The same story at another speed."""
        return Pace(*(int(ms * factor) for ms in (self.answer_ms, self.start_ms, self.half_ms, self.done_ms)))


@dataclass(frozen=True, slots=True)
class Step:
    """From `at` on (ms UTC) this is what the NGO says of the order."""

    at: int
    status: dict[str, Any]


def plan_order(request: dict[str, Any], order: str, now: int, pace: Pace, faults: Faults) -> list[Step]:
    """All that the NGO will say of an order, in order of time."""
    base = _base(request, order, faults)
    steps = [Step(now, {**base, "status": "received"})]
    if faults.answer == "silence":
        return [_stamped(step) for step in steps]
    if faults.answer == "reject":
        declined = {**base, "status": "declined", "reason": "no seedlings this season", "trees_accepted": 0}
        return [_stamped(step) for step in (*steps, Step(now + pace.answer_ms, declined))]
    accepted = _accepted(request, faults)
    base["trees_accepted"] = accepted
    steps.append(Step(now + pace.answer_ms, {**base, "status": "accepted"}))
    if accepted:
        steps += _planting(request, base, accepted, now, pace, faults)
    return [_stamped(step) for step in steps]


def status_at(steps: list[Step], now: int) -> dict[str, Any]:
    """What the NGO says of an order at an instant."""
    said = [step for step in steps if step.at <= now] or steps[:1]
    return said[-1].status


def more_proof(steps: list[Step], now: int) -> Step | None:
    """The step that answers a question about planted trees: the same plantings with one more photo each."""
    last = steps[-1].status
    if last["status"] != "planted" or now < steps[-1].at:
        return None
    count = len(steps)
    plantings = [
        {**one, "photos": [*one["photos"], _photo(last["reference"], f"{one['report']}-{count}", one["to"])]}
        for one in last["plantings"]
    ]
    return _stamped(Step(now, {**last, "plantings": plantings}))


def _planting(
    request: dict[str, Any],
    base: dict[str, Any],
    accepted: int,
    now: int,
    pace: Pace,
    faults: Faults,
) -> list[Step]:
    total = accepted * (SHORT_PCT_MAX - faults.shortfall_pct) // SHORT_PCT_MAX
    if faults.wrong == "over_report":
        total = accepted * 2
    first = total // 2
    on = datetime.fromtimestamp((now + pace.done_ms) / 1000, UTC).date().isoformat()
    parts = [(name, trees) for name, trees in (("A", first), ("B", total - first)) if trees]
    plantings = [_one_planting(request, name, trees, on, faults) for name, trees in parts]
    wrong = {"trees_accepted": accepted - 1} if faults.wrong == "changed" else {}
    begun = {**base, "status": "planting"}
    return [
        Step(now + pace.start_ms, begun),
        Step(now + pace.half_ms, {**begun, "plantings": plantings[:1]}),
        Step(now + pace.done_ms, {**base, **wrong, "status": "planted", "plantings": plantings}),
    ]


def _one_planting(
    request: dict[str, Any], report: str, trees: int, on: str, faults: Faults
) -> dict[str, Any]:
    photos = [] if faults.without_photos else [_photo(request["reference"], report, on)]
    return {
        "report": report,
        "trees": trees,
        "from": on,
        "to": on,
        "site": request["site"],
        "photos": photos,
    }


def _photo(order: str, name: str, on: str) -> dict[str, str]:
    """A photo that does not exist, and says so."""
    digest = hashlib.sha256(f"simulated photo {order} {name}".encode()).hexdigest()
    return {"sha256": digest, "name": f"simulated-{order}-{name}.jpg", "taken_on": on}


def _base(request: dict[str, Any], order: str, faults: Faults) -> dict[str, Any]:
    base = {
        "id": order,
        "reference": request["reference"],
        "species": request["species"],
        "trees": request["trees"],
        "unit_price_minor": request["unit_price_minor"],
        "currency": request["currency"],
        "plantings": [],
    }
    wrong: dict[str, dict[str, Any]] = {
        "species": {"species": "populus-alba"},
        "trees": {"trees": request["trees"] * 10},
        "price": {"unit_price_minor": request["unit_price_minor"] * 2},
    }
    return base | wrong.get(faults.wrong, {})


def _accepted(request: dict[str, Any], faults: Faults) -> int:
    asked = int(request["trees"])
    if faults.wrong == "over_accept":
        return asked + 1
    return asked * faults.partial_pct // 100 if faults.answer == "partial" else asked


def _stamped(step: Step) -> Step:
    at = datetime.fromtimestamp(step.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Step(step.at, {**step.status, "at": at})
