"""The rulebook that a word on the command line stands for: a folder, a hash, or the one in force."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.cli.shared import Exit, Failure, run, settings_with

IN_FORCE = "in-force"
HASH = re.compile(r"[0-9a-f]{6,64}")


@contextmanager
def laid_out(name: str, database: str | None) -> Iterator[Path]:
    """The rulebook as a folder, while the block runs: as named, else as kept in the database. Raises Failure."""
    if Path(name).is_dir():
        yield Path(name)
        return
    if not (name == IN_FORCE or HASH.fullmatch(name)):
        raise Failure(f"there is no folder {name}", Exit.USAGE)
    from engine.rulefiles.packing import unpacked

    texts = run(_kept(name, database))
    if texts is None:
        raise Failure(f"there is no folder {name}, nor is such a rulebook kept in the database", Exit.USAGE)
    with unpacked(texts) as folder:
        yield folder


async def _kept(name: str, database: str | None) -> Mapping[str, str] | None:
    """The files of a published rulebook, by the beginning of its hash; None where none or several begin so."""
    from engine.clock import Clock
    from engine.in_force import stored_files
    from engine.publishing import current
    from engine.reading import reading

    async with reading(settings_with(database).database_url) as db, db.snapshot() as view:
        if name == IN_FORCE:
            found = (await current(view, Clock().now_ms()))["in_force"]
            return await stored_files(view, found["rulebook"]) if found else None
        rows = await view.fetch("SELECT hash FROM rulebooks WHERE hash >= ? AND hash < ?", name, name + "g")
        return await stored_files(view, rows[0][0]) if len(rows) == 1 else None
