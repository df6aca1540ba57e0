"""Users' photos: reads what was uploaded, takes place and time out of it, and keeps the stripped picture as a file.

Whatever is kept or shown is encoded anew, so nothing but pixels of the upload survives. Knows no account and no rule.
"""

import asyncio
import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.pictures import encoded, looks_of, opened_picture, place_e6, taken_at, upright, write_whole
from engine.store.database import Database

_SIDE_MAX = 2048  # pixels of what is kept: enough to read an odometer
_USERS_ASKED = 1000


@dataclass(frozen=True, slots=True)
class Picture:
    """An upload as it was read: hashes, the stripped picture, and what its EXIF said of time and place.

    `taken_at` in milliseconds; a camera that told no zone is taken to be in the user's.
    """

    sha256: str
    file: str
    stripped: bytes
    width: int
    height: int
    looks: str
    taken_at: int | None
    latitude_e6: int | None
    longitude_e6: int | None


def read_picture(data: bytes, pixels_max: int, zone: str) -> Picture:
    """What an upload shows. Raises Rejected(photo_invalid | photo_too_large)."""
    with opened_picture(data, pixels_max) as opened:
        width, height = opened.size
        exif = opened.getexif()
        latitude_e6, longitude_e6 = place_e6(exif)
        picture = upright(opened)
        stripped = encoded(picture, _SIDE_MAX)
        return Picture(
            sha256=hashlib.sha256(data).hexdigest(),
            file=hashlib.sha256(stripped).hexdigest(),
            stripped=stripped,
            width=width,
            height=height,
            looks=looks_of(picture),
            taken_at=taken_at(exif, zone),
            latitude_e6=latitude_e6,
            longitude_e6=longitude_e6,
        )


# --- the folder -------------------------------------------------------------------------------------


class PhotoFolder:
    """Stripped pictures as files, a folder a user, named by their SHA-256; readable by the engine's owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, user: int, file: str) -> Path:
        """Where a picture lies."""
        return self.root / str(user) / f"{file}.jpg"

    def keep(self, user: int, picture: Picture) -> None:
        """Write the picture; whole or not at all."""
        write_whole(self.path(user, picture.file), picture.stripped)

    def drop(self, user: int, file: str) -> None:
        """Remove one picture."""
        self.path(user, file).unlink(missing_ok=True)

    def read(self, user: int, file: str) -> bytes | None:
        """The picture, or None where it is gone."""
        try:
            return self.path(user, file).read_bytes()
        except FileNotFoundError:
            return None

    def erase(self, user: int) -> None:
        """Remove all pictures of a user."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.root / str(user))

    def users(self) -> list[int]:
        """Whose pictures lie here."""
        if not self.root.is_dir():
            return []
        return sorted(int(one.name) for one in self.root.iterdir() if one.name.isdecimal())


async def erase_left_over(db: Database, folder: PhotoFolder) -> int:
    """Remove the files of closed accounts that a crash has left after their erasure; how many accounts that were."""
    users = await asyncio.to_thread(folder.users)
    found = 0
    for first in range(0, len(users), _USERS_ASKED):
        some = users[first : first + _USERS_ASKED]
        async with db.snapshot() as view:
            rows = await view.fetch("SELECT id FROM users WHERE state = 'closed' AND id IN ?", some)
        for (user,) in rows:
            await asyncio.to_thread(folder.erase, user)
            found += 1
    return found
