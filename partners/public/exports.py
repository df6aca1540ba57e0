"""The open data: tables as CSV and features as GeoJSON, of all that the registry has. Each file is made once in a while
from one read snapshot, page by page onto the disk, and sent from there: any size, little memory, a validator."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import IO, Any

import msgspec

from engine.core.numbers import order_number
from engine.store.database import Reader
from partners.desk import Desk, reading
from partners.public import columns as c
from partners.public.documents import batch_properties, counters_document, site_properties
from partners.public.ground import ground_of, point_shown
from partners.public.kept import ETAG_CHARACTERS
from partners.public.shown import Book, batch_number, day, surveyor_shown
from partners.store import public_queries
from partners.store.counters import Counters, counters

EXPORT_KEPT_S = 60.0
CHUNK_BYTES = 64 * 1024
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
BOM = "\ufeff"  # without it spreadsheets take Chinese for something else

Row = dict[str, Any]
Feature = tuple[Row, dict[str, Any] | None]
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True, weakref_slot=True)
class Export:
    """A finished file: unnamed on the disk, gone when nobody holds it any more."""

    file: IO[bytes]
    bytes: int
    etag: str
    made_at: float

    @property
    def age_s(self) -> float:
        """How old its facts are."""
        return monotonic() - self.made_at

    async def chunks(self) -> AsyncIterator[bytes]:
        """The file piece by piece; many may read it at once."""
        for at in range(0, self.bytes, CHUNK_BYTES):
            self.file.seek(at)  # nothing else runs between this and the next
            yield self.file.read(CHUNK_BYTES)


@dataclass(slots=True)
class Exports:
    """The files of one process. One is made at a time, so that no more than one connection is busy with it."""

    desk: Desk
    kept_s: float = EXPORT_KEPT_S
    _made: dict[str, Export] = field(default_factory=dict)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, layout: c.Layout) -> Export:
        """The file, made now if the last one is too old."""
        async with self._turn:
            known = self._made.get(layout.file)
            if known is None or known.age_s >= self.kept_s:
                known = self._made[layout.file] = await self._make(layout)
            return known

    async def _make(self, layout: c.Layout) -> Export:
        made_at, digest, size = monotonic(), hashlib.sha256(), 0
        file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the export
        try:
            async for chunk in self._text(layout):
                data = chunk.encode()
                digest.update(data)
                size += len(data)
                file.write(data)
            file.flush()
        except BaseException:
            file.close()
            raise
        made = Export(file, size, f'"{digest.hexdigest()[:ETAG_CHARACTERS]}"', made_at)
        weakref.finalize(made, file.close)
        return made

    async def _text(self, layout: c.Layout) -> AsyncIterator[str]:
        async with reading(self.desk) as reader:
            names = await public_queries.names(reader)
            book = Book(self.desk.rules(), names, self.desk.registry.is_live)
            if layout.shape:
                async for text in _collection(
                    _FEATURES[layout.file](reader, book), layout, self.desk.licence
                ):
                    yield text
            else:
                yield BOM + _lines([[one.name for one in layout.columns]])
                async for rows in _ROWS[layout.file](reader, book):
                    yield _lines([_cell(row[one.name]) for one in layout.columns] for row in rows)


# --- how files are written ------------------------------------------------------------------------


def _lines(rows: Iterable[Sequence[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


async def _collection(
    pages: AsyncIterator[list[Feature]], layout: c.Layout, licence: str
) -> AsyncIterator[str]:
    yield f'{{"type":"FeatureCollection","licence":{_encode(licence).decode()},"features":['
    before = "\n"
    async for page in pages:
        for row, geometry in page:
            properties = {one.name: row[one.name] for one in layout.columns}
            feature = {
                "type": "Feature",
                "id": row[layout.key],
                "geometry": geometry,
                "properties": properties,
            }
            yield before + _encode(feature).decode()
            before = ",\n"
    yield "\n]}\n"


# --- what is in them ------------------------------------------------------------------------------


def _named(book: Book, partner: str) -> Row:
    told = book.partner(partner)
    names = told["names"]
    name = names["en"] if names["en"] == names["zh"] else f"{names['en']} {names['zh']}"
    return {"partner": partner, "partner_name": name, "simulated": told["simulated"]}


async def _orders(reader: Reader, book: Book) -> AsyncIterator[list[Row]]:
    async for page in public_queries.lines(reader):
        yield [
            {
                **row,
                **_named(book, row["partner"]),
                "order": order_number(row["order"]),
                "line": int(row["line"].rpartition("-")[2]),
                "species_name": book.species(row["species"])["scientific"],
                "on_hold": bool(row["on_hold"]),
                "submitted_on": day(row["submitted_at"]),
                "last_fact_on": day(row["fact_at"]),
                "replaces_order": order_number(row["replaces"]) if row["replaces"] is not None else None,
            }
            for row in page
        ]


def _batch(book: Book, batch: public_queries.BatchRow) -> Row:
    told = batch_properties(book, batch)
    point = point_shown(batch.longitude_e6, batch.latitude_e6, batch.shown_m)
    return {
        **told,
        **_named(book, batch.partner),
        "programme": batch.programme,
        "species": batch.species,
        "species_name": told["species"]["scientific"],
        "site": batch.site,
        "review_levels": " ".join(map(str, batch.levels)) or None,
        "precision_m": batch.shown_m,
        "longitude": point[0] if point else None,
        "latitude": point[1] if point else None,
    }


async def _batches(reader: Reader, book: Book) -> AsyncIterator[list[Row]]:
    async for page in public_queries.batches(reader):
        yield [_batch(book, one) for one in page]


async def _plantings(reader: Reader, book: Book) -> AsyncIterator[list[Feature]]:
    async for page in _batches(reader, book):
        yield [(row, _point(row)) for row in page]


def _point(row: Row) -> dict[str, Any] | None:
    if row["longitude"] is None:
        return None
    return {"type": "Point", "coordinates": [row["longitude"], row["latitude"]]}


async def _audits(reader: Reader, book: Book) -> AsyncIterator[list[Row]]:
    async for page in public_queries.audits(reader):
        yield [
            {
                **row,
                **_named(book, row["partner"]),
                **_counted(row),
                "audit": batch_number(row["id"]),
                "batch": batch_number(row["batch_id"]),
            }
            for row in page
        ]


def _counted(row: Row) -> Row:
    """What was found; nothing where the count is still to come."""
    is_done = row["state"] == "done"
    conflict = {"has_conflict_of_interest": bool(row["is_conflicted"])}
    names = ("visited_on", "method", "alive", "verdict", "why")
    if not is_done:
        return dict.fromkeys((*names, "plots", "trees_counted", "surveyor")) | conflict
    return {
        **{name: row[name] if row[name] != "" else None for name in names},
        "plots": len(msgspec.json.decode(row["plots"])),
        "trees_counted": row["n"],
        "surveyor": surveyor_shown(row["surveyor"]),
        **conflict,
    }


async def _counters(reader: Reader, book: Book) -> AsyncIterator[list[Row]]:
    found = await counters(reader)
    alive_names = {"trees": "alive", "low": "alive_low", "high": "alive_high", "of_trees": "alive_of"}
    rows: list[Row] = []
    for name in sorted({*book.rules.programmes, *found}):
        told = counters_document(book, name, found.get(name) or Counters())
        alive = told.pop("alive") or {}
        rows.append({**told, **{to: alive.get(name) for name, to in alive_names.items()}, **_counts(alive)})
    yield rows


def _counts(alive: Row) -> Row:
    return {name: alive.get(name) for name in ("trees_counted", "first_count_on", "last_count_on")}


async def _sites(reader: Reader, book: Book) -> AsyncIterator[list[Feature]]:
    async for page in public_queries.sites(reader):
        found: list[Feature] = []
        for site in page:
            ground = await asyncio.to_thread(ground_of, site.geometry, site.datum, site.shown_m)
            told = site_properties(book, site)
            row = {
                **told,
                **_named(book, site.partner),
                "name_en": told["names"]["en"],
                "name_zh": told["names"]["zh"],
                "area_m2": site.area_m2,
            }
            found.append((row, ground.geometry if ground else None))
        yield found


_ROWS: dict[str, Callable[[Reader, Book], AsyncIterator[list[Row]]]] = {
    "orders.csv": _orders,
    "batches.csv": _batches,
    "audits.csv": _audits,
    "counters.csv": _counters,
}
_FEATURES: dict[str, Callable[[Reader, Book], AsyncIterator[list[Feature]]]] = {
    "sites.geojson": _sites,
    "batches.geojson": _plantings,
}
