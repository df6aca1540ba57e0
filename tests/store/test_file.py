"""The SQLite file itself: whoever else is on the machine reads no names and no secrets of sources in it."""

import os
from pathlib import Path

from engine.store.opening import open_database
from engine.store.schema import migrate


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "saxaul.db"
    before = os.umask(0o022)
    try:
        await migrate(f"sqlite:///{path}")
        db = await open_database(f"sqlite:///{path}", 1)
        try:
            found = {file.name: _mode(file) for file in tmp_path.iterdir()}
        finally:
            await db.close()
    finally:
        os.umask(before)
    assert found["saxaul.db"] == 0o600
    assert set(found.values()) == {0o600}, found


async def test_the_mode_that_an_operator_chose_stays(tmp_path: Path) -> None:
    path = tmp_path / "saxaul.db"
    path.touch()
    path.chmod(0o640)
    await migrate(f"sqlite:///{path}")
    assert _mode(path) == 0o640
