"""Goes once through the journal: adds up every transfer by account, follows the offset of every publication.

What the sums have to equal is told elsewhere. Rows are read in commit order, a few thousand at a time.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.check.findings import Findings, Progress
from engine.check.scratch import Scratch
from engine.store.database import Reader

BATCH_ROWS = 4000

_transfers = msgspec.json.Decoder(list[tuple[str, str, str, int, str]])
_pubs = msgspec.json.Decoder(list[tuple[str, msgspec.Raw, msgspec.Raw]])
_offset = msgspec.json.Decoder(int)

_ADD_ACCOUNT = (
    "INSERT INTO accounts VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " credit = credit + excluded.credit, debit = debit + excluded.debit"
)
_ADD_BALL = (
    "INSERT INTO balls VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET mints = mints + excluded.mints,"
    " minted = minted + excluded.minted, revised = revised + excluded.revised,"
    " taken = taken + excluded.taken, expired = expired + excluded.expired,"
    " reversed = reversed + excluded.reversed"
)
_ADD_TAKE = (
    "INSERT INTO takes VALUES (?, ?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET"
    " energy_g = energy_g + excluded.energy_g, times = times + 1"
)
_SET_OFFSET = "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET last = excluded.last"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of account as the database's own rows define it."""

    id: str
    asset: str
    balance: str
    may_be_negative: bool

    def holds(self, asset: str) -> bool:
        """Whether accounts of this kind may hold the asset (`money` holds every currency)."""
        return self.asset == "*" or asset == self.asset or asset.startswith(f"{self.asset}:")


@dataclass(slots=True)
class _Batch:
    """Sums of one batch before they go into the scratch file."""

    accounts: defaultdict[tuple[str, Any, str], list[int]] = field(
        default_factory=lambda: defaultdict(lambda: [0, 0])
    )
    balls: defaultdict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * 6))
    takes: list[tuple[int, int, int, str | None, int]] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)


async def kinds_of(view: Reader) -> dict[str, Kind]:
    """The kinds of account that the database knows."""
    rows = await view.fetch("SELECT id, asset, balance, may_be_negative FROM account_kinds ORDER BY id")
    return {row[0]: Kind(row[0], row[1], row[2], bool(row[3])) for row in rows}


async def read_journal(
    view: Reader, scratch: Scratch, kinds: dict[str, Kind], findings: Findings, progress: Progress
) -> None:
    """Add up the whole journal into the scratch file."""
    findings.laws += [
        "Transfers move positive amounts between accounts that can hold the asset, never into the mint.",
        "Offsets of every channel begin at 1, without holes or doubles, and the accounts know the last.",
    ]
    [(newest,)] = await view.fetch("SELECT coalesce(max(id), 0) FROM journal")
    sql = 'SELECT id, "at", key, transfers, pubs FROM journal WHERE id > ? ORDER BY id LIMIT ?'
    after = 0
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        batch = _Batch()
        for row in rows:
            _read_row(row, batch, scratch, kinds, findings)
        _flush(batch, scratch)
        after = rows[-1][0]
        findings.counts["journal rows"] += len(rows)
        progress("journal", after, newest)


def _read_row(
    row: tuple[Any, ...], batch: _Batch, scratch: Scratch, kinds: dict[str, Kind], findings: Findings
) -> None:
    row_id, at, key, transfers_text, pubs_text = row
    place = f"journal row {row_id}"
    try:
        moves = _transfers.decode(transfers_text)
        pubs = _pubs.decode(pubs_text)
    except msgspec.MsgspecError as problem:
        findings.tell("unreadable_row", place, str(problem))
        return
    for move in moves:
        _add_transfer(move, place, batch, kinds, findings)
    for ball, taker, energy_g in _takes(moves):
        batch.takes.append((ball, taker, energy_g, key, at))
    for channel, offset, _ in pubs:
        if channel:  # else the end of a permission
            _follow(channel, _offset.decode(offset), place, batch, scratch, findings)
    findings.counts["transfers"] += len(moves)


def _split(account: str) -> tuple[str, Any]:
    """`ball:17` as its kind and reference; references that are ids become numbers."""
    kind, _, ref = account.partition(":")
    return kind, int(ref) if ref.isdecimal() else ref


def _add_transfer(
    move: tuple[str, str, str, int, str],
    place: str,
    batch: _Batch,
    kinds: dict[str, Kind],
    findings: Findings,
) -> None:
    debit, credit, asset, amount, reason = move
    if amount <= 0:
        findings.tell("bad_transfer", place, f"{debit} → {credit}: the amount {amount} is not above zero")
    for side, account in enumerate((credit, debit)):
        name, ref = _split(account)
        kind = kinds.get(name)
        if kind is None:
            findings.tell("bad_transfer", place, f"account {account} is of no known kind")
        elif not kind.holds(asset):
            findings.tell("bad_transfer", place, f"account {account} holds no {asset}")
        batch.accounts[(name, ref, asset)][side] += amount
    if credit == "mint":
        findings.tell("bad_transfer", place, "nothing goes back into the mint; expected `reversed`")
    if asset == "energy":
        _add_ball(debit, credit, amount, reason, batch)


def _add_ball(debit: str, credit: str, amount: int, reason: str, batch: _Batch) -> None:
    """What happened to a ball, by kind: mints, minted, revised down, taken, expired, reversed."""
    if debit == "mint":
        name, ball = _split(credit)
        if name == "ball" and isinstance(ball, int):
            batch.balls[ball][0] += reason == "accepted"
            batch.balls[ball][1] += amount
        return
    name, ball = _split(debit)
    if name != "ball" or not isinstance(ball, int):
        return
    if credit == "reversed":
        is_smaller = reason == "revised" or reason.startswith("excluded:")  # of a ball that stands
        batch.balls[ball][2 if is_smaller else 5] += amount
    else:
        batch.balls[ball][4 if credit == "expired" else 3] += amount


def _takes(moves: list[tuple[str, str, str, int, str]]) -> list[tuple[int, int, int]]:
    """(ball, taker, grams) of one row; what repaid a debt was taken too."""
    taken: defaultdict[tuple[int, int], int] = defaultdict(int)
    for debit, credit, asset, amount, _ in moves:
        name, ball = _split(debit)
        kind, taker = _split(credit)
        is_take = asset == "energy" and name == "ball" and kind in ("wallet", "debt")
        if is_take and isinstance(ball, int) and isinstance(taker, int):
            taken[(ball, taker)] += amount
    return [(ball, taker, energy_g) for (ball, taker), energy_g in taken.items()]


def _follow(
    channel: str, offset: int, place: str, batch: _Batch, scratch: Scratch, findings: Findings
) -> None:
    """The offset must be the one after the channel's last."""
    name, ref = _split(channel)
    last = batch.offsets.get((name, ref))
    if last is None:
        found = scratch.one("SELECT last FROM offsets WHERE channel = ? AND ref = ?", name, ref)
        last = found[0] if found else 0
    if offset != last + 1:
        code = "offset_hole" if offset > last else "offset_double"
        findings.tell(code, f"channel {channel}, {place}", f"offset: expected {last + 1}, found {offset}")
    batch.offsets[(name, ref)] = max(last, offset)
    findings.counts["publications"] += 1


def _flush(batch: _Batch, scratch: Scratch) -> None:
    scratch.add(_ADD_ACCOUNT, [(*account, *sums) for account, sums in batch.accounts.items()])
    scratch.add(_ADD_BALL, [(ball, *sums) for ball, sums in batch.balls.items()])
    scratch.add(_ADD_TAKE, batch.takes)
    scratch.add(_SET_OFFSET, [(*channel, last) for channel, last in batch.offsets.items()])
