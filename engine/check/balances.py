"""Every balance column is the sum of its transfers, no account lies below zero, nothing comes from nowhere.

Which column holds which kind of account is read from the database's own rows (`account_kinds`).
"""

from collections.abc import AsyncIterator
from typing import Any

from engine.check.findings import Findings, Progress
from engine.check.journal import BATCH_ROWS, Kind
from engine.check.scratch import Scratch
from engine.store import tables as _tables
from engine.store.database import Reader

_METADATA = _tables.Meta.__table__.metadata  # type: ignore[attr-defined]


async def check_balances(
    view: Reader, scratch: Scratch, kinds: dict[str, Kind], findings: Findings, progress: Progress
) -> None:
    """Compare all accounts with their transfers, then each asset as a whole."""
    findings.laws += [
        "Every balance (ball, wallet, debt, avoided, stock, sold, fund) is the sum of its transfers.",
        "No account lies below zero, but for the mint and debts.",
        "Issued = balls + wallets + redeemed + expired + reversed - debt; likewise for every other asset.",
    ]
    _add_up(scratch, findings)
    for kind in kinds.values():
        if kind.balance:
            await _compare(view, scratch, kind, findings, progress)
        if not kind.may_be_negative:
            _refuse_negative(scratch, kind, findings)
    _check_assets(kinds, findings)


def _add_up(scratch: Scratch, findings: Findings) -> None:
    sql = "SELECT kind, asset, count(*), sum(credit), sum(debit) FROM accounts GROUP BY kind, asset"
    for kind, asset, accounts, credit, debit in scratch.rows(sql):
        total = findings.totals_of(kind, asset)
        total.accounts, total.credit, total.debit = accounts, credit, debit


def _refuse_negative(scratch: Scratch, kind: Kind, findings: Findings) -> None:
    sql = "SELECT ref, asset, credit - debit FROM accounts WHERE kind = ? AND credit < debit"
    for ref, asset, balance in scratch.rows(sql, kind.id):
        place = f"account {kind.id}:{ref}" if ref != "" else f"account {kind.id}"
        findings.tell("below_zero", place, f"{asset}: expected 0 or more, found {balance} by transfers")


async def _compare(
    view: Reader, scratch: Scratch, kind: Kind, findings: Findings, progress: Progress
) -> None:
    """One column, row by row, against the sums of the accounts of its kind."""
    sign = -1 if kind.balance.startswith("-") else 1
    table, _, column = kind.balance.lstrip("-").partition(".")
    asset = kind.asset
    by_rows = 0
    async for rows in _column(view, table, column):
        sums = _sums(scratch, kind, rows[0][0], rows[-1][0])
        for ref, stored in rows:
            held = sums.get(ref, {})
            balance = sum(held.values())
            asset = next(iter(held), asset)
            total = findings.totals_of(kind.id, asset)
            total.by_rows = (total.by_rows or 0) + sign * stored
            place = f"{table} {ref}"
            findings.expect(
                f"{kind.id}_balance", place, f"{column}, by its transfers", sign * balance, stored
            )
            if stored < 0:
                findings.tell("below_zero", place, f"{column}: expected 0 or more, found {stored}")
        by_rows += len(rows)
        progress(f"{kind.id} accounts", by_rows, 0)
    findings.counts[f"{kind.id} accounts"] = by_rows
    await _find_orphans(view, scratch, kind, table, findings)


def _sums(scratch: Scratch, kind: Kind, first: Any, last: Any) -> dict[Any, dict[str, int]]:
    """What transfers say of the accounts from one key to another, by key and asset."""
    sql = "SELECT ref, asset, credit - debit FROM accounts WHERE kind = ? AND ref BETWEEN ? AND ?"
    params: tuple[Any, ...] = (kind.id, first, last)
    if kind.asset != "money":
        sql, params = f"{sql} AND asset = ?", (*params, kind.asset)
    found: dict[Any, dict[str, int]] = {}
    for ref, asset, balance in scratch.rows(sql, *params):
        found.setdefault(ref, {})[asset] = balance
    return found


def _key_of(table: str) -> str:
    [key] = _METADATA.tables[table].primary_key.columns.keys()
    return key


async def _column(view: Reader, table: str, column: str) -> AsyncIterator[list[tuple[Any, ...]]]:
    """(key, value) of all rows in key order, some thousands at a time."""
    key = _key_of(table)
    sql = f"SELECT {key}, {column} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT ?"
    after: Any = "" if _is_text(table, key) else -1
    while rows := await view.fetch(sql, after, BATCH_ROWS):
        yield rows
        after = rows[-1][0]


async def _find_orphans(view: Reader, scratch: Scratch, kind: Kind, table: str, findings: Findings) -> None:
    """Accounts that transfers speak of and that have no row."""
    key = _key_of(table)
    is_text = _is_text(table, key)
    cursor = scratch.rows("SELECT DISTINCT ref FROM accounts WHERE kind = ? ORDER BY ref", kind.id)
    while refs := [ref for (ref,) in cursor.fetchmany(BATCH_ROWS)]:
        asked = [ref for ref in refs if isinstance(ref, str) == is_text]
        rows = await view.fetch(f"SELECT {key} FROM {table} WHERE {key} IN ?", asked) if asked else []
        known = {ref for (ref,) in rows}
        for ref in refs:
            if ref not in known:
                findings.tell("account_missing", f"account {kind.id}:{ref}", f"expected a row in {table}")


def _is_text(table: str, key: str) -> bool:
    return _METADATA.tables[table].c[key].type.python_type is str


def _check_assets(kinds: dict[str, Kind], findings: Findings) -> None:
    """What was minted of an asset is what all its accounts hold, balance columns before transfers."""
    for asset in sorted({asset for _, asset in findings.totals}):
        issued = held = 0
        for (kind, of), total in findings.totals.items():
            if of != asset:
                continue
            if kind == "mint":
                issued = -total.by_transfers
            else:
                held += total.by_transfers if total.by_rows is None else total.by_rows
        findings.expect(f"{asset.partition(':')[0]}_law", f"asset {asset}", "issued = held", issued, held)
