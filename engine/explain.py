"""How the grams of one ball came about, and where every one of them went since: as a document and in words.

Reads only, on one snapshot. Journal rows are found by their key or by their instant (a search in the primary
key), never by going through the journal. Knows no permission: who may ask is decided by the caller.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from engine import dice
from engine.core.context import spread
from engine.core.editions import edition_facts
from engine.core.energy import friends_share_g
from engine.core.quantify import describe
from engine.core.rules import RuleBook
from engine.core.state import Activity, Ball
from engine.core.units import local_day, rfc3339
from engine.publishing import made_by
from engine.rulebook import RulebookError
from engine.rulefiles.packing import book_of
from engine.store.database import Database, Reader, quoted
from engine.store.mapping import GAME_TABLES, ShelfTable

CLOCK_SLACK_MS = (
    5_000  # groups of several processes may get their journal ids in another order than their instants
)
SCANNED_ROWS = 20_000
# what such a row moves belongs to its activity, but for what names another as its reason
_WHOLE_ROW = ("ReportActivity", "ReverseActivity", "SubmitActivity", "ReviewActivity")
_COLUMNS = 'id, "at", kind, actor, key, transfers'

Transfer = list[Any]  # debit, credit, asset, amount, reason


@dataclass(slots=True)
class _Row:
    """A journal row and those of its transfers that concern the ball or its avoided emissions."""

    id: int
    at: int
    kind: str
    actor: int | None
    key: str | None
    transfers: list[Transfer]


async def explain_ball(
    db: Database, rules: RuleBook, ball_id: int, *, now: int, reveal_today: bool = False
) -> dict[str, Any] | None:
    """All that is known of a ball; None if there is no such activity. `rules` is the rulebook in force now.

    Names, values and references are those of the rulebook that made the ball, where it is kept.
    Draws of days that are over (UTC) are worked out again from the disclosed secret; `reveal_today` (for
    operators) does so for the others too, without showing their secret.
    """
    async with db.snapshot() as view:
        activity = await _one(view, GAME_TABLES["activities"], ball_id)
        if activity is None:
            return None
        ball = await _one(view, GAME_TABLES["balls"], ball_id)
        rows = await _history(view, activity, ball)
        revisions = await _revisions(view, ball_id)
        source = await view.fetch("SELECT about FROM sources WHERE id = ?", activity.source)
        draws = await _draws(view, ball, rows, now, reveal_today) if ball else {}
        files, edition = await made_by(view, str(activity.trace.get("rules", "")), activity.accepted_at)
    made = rules if files is None else await asyncio.to_thread(_book, files, rules, activity)
    document: dict[str, Any] = {
        "ball": str(ball_id),
        "owner": str(activity.user_id),
        "activity": _activity_facts(activity, made, rules.hash),
        "edition": edition_facts(edition, now) if edition else None,
        "calculation": activity.trace,
        "words": _words(activity, made, rules.hash),
        "caps": _caps_words(activity.trace.get("granted", {})),
        "evidence": _evidence_facts(activity, made),
        "weighed": _weighed_words(activity),
        "source": msgspec.json.decode(source[0][0]) if source else {},
        "policy": _policy(ball, activity, made) if ball else None,
        "revisions": revisions,
        "transfers": [fact for row in rows for fact in _transfer_facts(row, draws)],
        "now": _stand(activity, ball, now),
    }
    document["missing_g"] = _missing_g(ball, rows) if ball else 0
    return document


# --- rows -------------------------------------------------------------------------------------------


async def _one(view: Reader, about: ShelfTable, row_id: int) -> Any:
    sql = f"SELECT {quoted(about.columns)} FROM {about.table.name} WHERE id = ?"
    rows = await view.fetch(sql, row_id)
    return about.row(rows[0]) if rows else None


async def _revisions(view: Reader, activity_id: int) -> list[dict[str, Any]]:
    sql = 'SELECT revision, quantity, counted, "at" FROM revisions WHERE activity_id = ? ORDER BY revision'
    return [
        {"revision": revision, "quantity": quantity, "counted": bool(counted), "at": rfc3339(at)}
        for revision, quantity, counted, at in await view.fetch(sql, activity_id)
    ]


async def _history(view: Reader, activity: Activity, ball: Ball | None) -> list[_Row]:
    """The journal rows that moved this ball's grams or its avoided emissions, oldest first."""
    found: dict[int, _Row] = {}
    instants = {activity.accepted_at}
    weighed = {one["at"] for one in activity.trace.get("weighed", [])}
    if activity.reversed_at is not None:
        instants.add(activity.reversed_at)
    sql = 'SELECT "at" FROM revisions WHERE activity_id = ?'
    instants.update(at for (at,) in await view.fetch(sql, activity.id))
    for at in sorted(instants | weighed):
        for row in await _rows_at(view, activity, at):
            found[row.id] = row
    if ball is not None and ball.takers:
        for row in await _rows_by_key(view, activity.id, [key for _, _, key in ball.takers]):
            found[row.id] = row
    if ball is not None and _missing_g(ball, list(found.values())) > 0:
        row = await _expiry(view, ball)
        if row is not None:
            found[row.id] = row
    return [found[row_id] for row_id in sorted(found)]


async def _rows_by_key(view: Reader, ball_id: int, keys: Sequence[str]) -> list[_Row]:
    rows = await view.fetch(f"SELECT {_COLUMNS} FROM journal WHERE key IN ?", list(keys))
    return [row for row in (_row(values, ball_id) for values in rows) if row.transfers]


async def _rows_at(view: Reader, activity: Activity, at: int) -> list[_Row]:
    """Rows of exactly that instant that report or reverse the activity (their reply names it), and those of others
    by which it was excluded or counted again (the reason of a transfer names it).
    """
    low = await _first_id_at(view, at - CLOCK_SLACK_MS)
    high = await _first_id_at(view, at + CLOCK_SLACK_MS)
    sql = (
        f'SELECT {_COLUMNS}, reply FROM journal WHERE id >= ? AND id <= ? AND "at" = ?'
        " AND kind IN ? AND (transfers LIKE ? OR transfers LIKE ?)"
    )
    ball, carbon = f'%"ball:{activity.id}"%', f'%"carbon:{activity.user_id}"%'
    found = await view.fetch(sql, low, high, at, list(_WHOLE_ROW), ball, carbon)
    rows = [_row(values[:-1], activity.id, _replies_of(values[-1], activity)) for values in found]
    return [row for row in rows if row.transfers]


def _replies_of(text: str, activity: Activity) -> bool:
    reply: dict[str, Any] = msgspec.json.decode(text)
    return reply.get("id") == activity.activity and reply.get("ball") in (None, str(activity.id))


async def _first_id_at(view: Reader, at: int) -> int:
    """The lowest journal id whose row is not older than the instant; ids rise with time."""
    [(low, high)] = await view.fetch("SELECT min(id), max(id) FROM journal")
    if low is None:
        return 0
    while low < high:
        middle = (low + high) // 2
        rows = await view.fetch('SELECT id, "at" FROM journal WHERE id >= ? ORDER BY id LIMIT 1', middle)
        row_id, row_at = rows[0]
        if row_at < at:
            low = row_id + 1
        else:
            high = middle
    return low


async def _expiry(view: Reader, ball: Ball) -> _Row | None:
    """The row that booked the rest as expired: jobs book soon after the end of life, so look from there."""
    after = await _first_id_at(view, ball.expires_at - CLOCK_SLACK_MS) - 1
    where = "id > ? AND id <= ? AND kind = 'BookExpiry' AND transfers LIKE ?"
    [(newest,)] = await view.fetch("SELECT coalesce(max(id), 0) FROM journal")
    while after < newest:
        sql = f"SELECT {_COLUMNS} FROM journal WHERE {where}"
        rows = await view.fetch(sql, after, after + SCANNED_ROWS, f'%"ball:{ball.id}"%')
        if rows:
            return _row(rows[0], ball.id)
        after += SCANNED_ROWS
    return None


def _row(values: Sequence[Any], ball_id: int, is_own: bool = False) -> _Row:
    row_id, at, kind, actor, key, text = values
    name = f"ball:{ball_id}"
    moves: list[Transfer] = msgspec.json.decode(text)
    if kind in _WHOLE_ROW:
        kept = [move for move in moves if _concerns(move[4], ball_id, is_own)]
    else:
        kept = [move for move in moves if name in move[:2]]
    return _Row(row_id, at, kind, actor, key, kept)


def _concerns(reason: str, activity_id: int, is_own: bool) -> bool:
    """Whether a move of a report or reversal is the activity's: its own, or one whose reason names it."""
    _, _, named = reason.partition(":")
    return is_own if not named else named == str(activity_id)


# --- facts ------------------------------------------------------------------------------------------


def _book(files: Mapping[str, str], rules: RuleBook, activity: Activity) -> RuleBook:
    """The rulebook that made the ball; where this version can't read it any more, the one in force tells the names."""
    rules_hash = activity.trace["rules"]
    if rules_hash == rules.hash:
        return rules
    try:
        return _kept(rules_hash, tuple(sorted(files.items())))
    except RulebookError:
        return rules


@lru_cache(maxsize=8)
def _kept(rules_hash: str, files: tuple[tuple[str, str], ...]) -> RuleBook:
    return book_of(dict(files), rules_hash)


def _words(activity: Activity, rules: RuleBook, in_force: str) -> list[str]:
    if "rules" not in activity.trace:
        return ["How this was worked out was not kept."]
    return describe(activity.trace, rules, in_force)


def _activity_facts(activity: Activity, rules: RuleBook, in_force: str) -> dict[str, Any]:
    behaviour = rules.behaviours.get(activity.behaviour)
    facts: dict[str, Any] = {
        "id": activity.activity,
        "source": activity.source,
        "behaviour": activity.behaviour,
        "names": dict(behaviour.names) if behaviour else {},
        "on": activity.on,
        "at": rfc3339(activity.at) if activity.at is not None else None,
        "quantity": activity.quantity,
        "unit": activity.unit,
        "revision": activity.revision,
        "status": activity.status,
        "accepted_at": rfc3339(activity.accepted_at),
        "reversed_at": rfc3339(activity.reversed_at) if activity.reversed_at is not None else None,
        "energy_g": activity.energy_g,
        "avoided_mg": activity.avoided_mg,
        "method": {
            name: activity.trace[name]["method"] for name in ("energy", "avoided") if name in activity.trace
        },
        "rulebook": activity.trace.get("rules", ""),
        "rulebook_is_current": activity.trace.get("rules") == in_force,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _caps_words(granted: Mapping[str, Any]) -> list[str]:
    """What caps of the day, month and year left of the grams."""
    reason = granted.get("reason")
    if not granted or reason is None or reason == "excluded":
        return ["No cap of the day, month or year was reached."]
    name, _, kind = reason.removeprefix("cap_").rpartition("_")
    period = name.replace("_per_", " and ")
    used = ", ".join(granted.get("used_by", ()))
    what = "number of activities" if kind == "count" else "grams"
    left = f"{granted['energy_g']} g of {granted['raw_g']} g"
    return [f"The cap on the {what} of the {period} left {left}" + (f" (used by: {used})." if used else ".")]


def _evidence_facts(activity: Activity, rules: RuleBook) -> dict[str, Any] | None:
    """What the act is shown by; None for records older than that."""
    if activity.grade is None:
        return None
    behaviour = rules.behaviours.get(activity.behaviour)
    known = behaviour.evidence_of(activity.evidence) if behaviour else None
    return {"kind": activity.evidence, "grade": activity.grade, "what": known.what if known else ""}


def _weighed_words(activity: Activity) -> list[str]:
    """Which act counted in its place and when, and which others it stands for."""
    words = [
        f"From {rfc3339(one['at'])} on, activity {one['by']} counted in its place: both can't be real."
        if one["by"]
        else f"From {rfc3339(one['at'])} on it counted again."
        for one in activity.trace.get("weighed", [])
    ]
    others = activity.trace.get("excludes", [])
    if others:
        words.append(f"It counted in place of {', '.join(others)} of the family {activity.family}.")
    kept_g = activity.trace.get("granted", {}).get("kept_g")
    if kept_g:
        words.append(f"Of these, {kept_g} g had been collected already, and are not given again.")
    return words


def _policy(ball: Ball, activity: Activity, rules: RuleBook) -> dict[str, Any]:
    behaviour = rules.behaviours.get(activity.behaviour)
    rule = behaviour.on(date.fromisoformat(activity.on)) if behaviour else None
    facts: dict[str, Any] = {
        "ripens_at": rfc3339(ball.ripens_at),
        "friends_from_at": rfc3339(ball.friends_from_at),
        "expires_at": rfc3339(ball.expires_at),
        "full_g": ball.full_g,
        "floor_g": ball.floor_g,
        "share_min_g": ball.share_min_g,
        "share_max_g": ball.share_max_g,
        "share_less_pct": ball.share_less_pct,
        "others_see": ball.others_see,
    }
    if rule is not None:
        facts["ripens"] = rule.ball.ripens
        facts["life_h"] = rule.ball.life_h
        facts["floor_pct"] = rule.ball.floor_pct
    return facts


def _transfer_facts(row: _Row, draws: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = []
    for debit, credit, asset, amount, reason in row.transfers:
        fact: dict[str, Any] = {
            "journal": str(row.id),
            "at": rfc3339(row.at),
            "command": row.kind,
            "from": debit,
            "to": credit,
            "asset": asset,
            "amount": amount,
            "reason": reason,
        }
        if row.actor is not None:
            fact["by"] = str(row.actor)
        if row.key is not None:
            fact["key"] = row.key
            if row.key in draws and reason in ("collected", "repaid"):
                fact["draw"] = draws[row.key]
        facts.append(fact)
    return facts


def _missing_g(ball: Ball, rows: Sequence[_Row]) -> int:
    """Grams that left the ball by no row in hand."""
    name = f"ball:{ball.id}"
    moves = [move for row in rows for move in row.transfers if move[2] == "energy"]
    stand = sum(move[3] for move in moves if move[1] == name) - sum(
        move[3] for move in moves if move[0] == name
    )
    return stand - ball.remaining_g


def _stand(activity: Activity, ball: Ball | None, now: int) -> dict[str, Any]:
    if ball is None:
        return {"at": rfc3339(now), "state": "no_ball", "remaining_g": 0}
    if activity.status == "reversed" or (activity.status == "excluded" and not ball.remaining_g):
        state = activity.status
    elif not ball.remaining_g:
        state = "empty" if ball.takers or now < ball.expires_at else "expired"
    elif now >= ball.expires_at:
        state = "expired"
    else:
        state = "growing" if now < ball.ripens_at else "ripe"
    return {"at": rfc3339(now), "state": state, "remaining_g": ball.remaining_g}


# --- draws ------------------------------------------------------------------------------------------


async def _draws(
    view: Reader, ball: Ball, rows: Sequence[_Row], now: int, reveal_today: bool
) -> dict[str, dict[str, Any]]:
    """By key: the share that the day's secret gave each friend, where it may be worked out now."""
    today = local_day(now, "UTC")
    by_key = {row.key: row for row in rows if row.key is not None}
    friends = [(user, energy_g, key) for user, energy_g, key in ball.takers if user != ball.owner]
    days = {key: local_day(by_key[key].at, "UTC") for _, _, key in friends if key in by_key}
    secrets = await _secrets(view, sorted({day.isoformat() for day in days.values()}))
    found: dict[str, dict[str, Any]] = {}
    for before, (user, energy_g, key) in enumerate(friends):
        day = days.get(key)
        secret = secrets.get(day.isoformat()) if day else None
        if day is None or secret is None:
            continue
        disclosed = day < today
        if not disclosed and not reveal_today:
            found[key] = {"disclosed_from": f"{day.isoformat()} 24:00 UTC"}
            continue
        number = dice.drawing(bytes.fromhex(secret))(ball.id, user)
        share_g = friends_share_g(ball, number, before)
        draw: dict[str, Any] = {
            "day": day.isoformat(),
            "before": before,
            "share_g": share_g,
            "taken_g": energy_g,
        }
        draw["drawn_g"] = spread(number, ball.share_min_g, ball.share_max_g)
        draw["cut_to_floor"] = energy_g < share_g
        if disclosed:
            draw["secret"] = secret
        found[key] = draw
    return found


async def _secrets(view: Reader, days: Sequence[str]) -> dict[str, str]:
    rows = (
        await view.fetch('SELECT "on", secret FROM day_secrets WHERE "on" IN ?', list(days)) if days else []
    )
    return dict(rows)


# --- words ------------------------------------------------------------------------------------------


def in_words(document: Mapping[str, Any]) -> list[str]:
    """The same for people, a sentence a line."""
    act, policy, now = document["activity"], document["policy"], document["now"]
    what = f"{act['names'].get('en', act['behaviour'])}, {act['quantity']} {act['unit']} on {act['on']}"
    state = now["state"].replace("_", " ")
    shows = [document["evidence"]]
    about = document["source"]
    owner = about.get("reduction_owner", "none")
    owned = "is owned by nobody" if owner == "none" else f"is the {owner}'s"
    sold = "may be sold" if about.get("may_be_sold") else "may not be sold"
    lines = [
        f"Ball {document['ball']} of user {document['owner']} holds {now['remaining_g']} g now ({state}).",
        f"It was made by activity {act['id']} of source {act['source']}: {what}.",
        f"The activity was accepted {act['accepted_at']} and is {act['status']}.",
        *(
            f"It is shown by {shown['kind']}, grade {shown['grade']}: {shown['what']}"
            for shown in shows
            if shown
        ),
        *([f"What it avoided {owned} and {sold}, as its source states."] if about else []),
        "",
        "How it was worked out:",
        *(f"  {line}" for line in document["words"]),
        *(f"  {line}" for line in document["caps"]),
        *(f"  {line}" for line in document["weighed"]),
        f"  Rulebook {act['rulebook']}.",
        *(f"  {line}" for line in _edition_words(document.get("edition"))),
    ]
    for revision in document["revisions"]:
        counted = "counted" if revision["counted"] else "recorded only"
        quantity = f"{revision['quantity']} {act['unit']}"
        lines.append(f"  Report {revision['revision']} of {quantity} at {revision['at']}: {counted}.")
    if policy is not None:
        lines += ["", "How it lives:", *(f"  {line}" for line in _policy_words(policy))]
    lines += ["", "What moved since:"]
    lines += [f"  {_transfer_words(fact)}" for fact in document["transfers"]] or ["  Nothing."]
    if document["missing_g"]:
        lines.append(f"  {document['missing_g']} g left by rows that were not found: run `saxaul check`.")
    return lines


def _edition_words(edition: Mapping[str, Any] | None) -> list[str]:
    """Who put the rulebook in force, when and why."""
    if edition is None:
        return []
    whom = "all users" if edition["share_pct"] == 100 else f"{edition['share_pct']:g} % of users"
    since = edition["from_at"] if not edition["from_at"].startswith("1970") else "the beginning"
    line = f"It was edition {edition['edition']}, in force for {whom} from {since}"
    if "proposed_by" in edition:
        line += (
            f", proposed by {edition['proposed_by']}, approved by {edition['approved_by']}: {edition['why']}"
        )
    return [f"{line}."]


def _policy_words(policy: Mapping[str, Any]) -> list[str]:
    share = f"{policy['share_min_g']} to {policy['share_max_g']} g"
    less = f", less {policy['share_less_pct']} % for each who came before" if policy["share_less_pct"] else ""
    return [
        f"{policy['full_g']} g, ripe from {policy['ripens_at']} until {policy['expires_at']}.",
        f"Friends take from {policy['friends_from_at']}, once each, {share} as drawn{less}.",
        f"{policy['floor_g']} g are kept for the owner.",
    ]


_UNITS = {"energy": "g of energy", "avoided": "mg CO2e", "tree": "trees"}


def _transfer_words(fact: Mapping[str, Any]) -> str:
    unit = _UNITS.get(fact["asset"], fact["asset"])
    line = f"{fact['at']}  {fact['amount']} {unit} from {fact['from']} to {fact['to']} ({fact['reason']}"
    if "key" in fact:
        line += f", key {fact['key']}"
    draw = fact.get("draw")
    if draw and "share_g" in draw:
        line += f"; the draw of {draw['day']} gives {draw['drawn_g']} g"
        if draw["share_g"] != draw["drawn_g"]:
            line += f", {draw['share_g']} g after {draw['before']} other friends"
        line += ", cut to the owner's floor" if draw["cut_to_floor"] else ""
        line += f", secret {draw['secret']}" if "secret" in draw else ""
    elif draw:
        line += f"; the draw can be checked from {draw['disclosed_from']}"
    return line + f"), journal row {fact['journal']}"
