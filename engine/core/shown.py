"""Rows of acts that users show themselves: photos, what was shown of a day, and reviews. Knows nothing else."""

from dataclasses import dataclass, field

OWN_SOURCE = "user"  # the source of acts that users show themselves; no other source may be called so


@dataclass(slots=True)
class Photo:
    """A photo that a user uploaded, by its hashes; `file` names the stripped picture in the folder of photos.

    The bands are quarters of `looks` (the perceptual hash), by which likeness is searched. Of an erased account's
    photos only the hashes stay.
    """

    sha256: str
    user_id: int | None
    file: str | None
    width: int
    height: int
    looks: str
    band_a: str
    band_b: str
    band_c: str
    band_d: str
    alike: list[str]
    taken_at: int | None
    latitude_e6: int | None
    longitude_e6: int | None
    kept_at: int
    activity_id: int | None


@dataclass(slots=True)
class ShownDay:
    """What a user has shown of one local day."""

    user_id: int
    on: str
    acts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Review:
    """A shown act that a person is to look at, and what came of it. `reason`: sample, alike, other_day."""

    activity_id: int
    source: str
    activity: str
    user_id: int
    photo: str
    reason: str
    state: str  # waiting | accepted | refused | erased
    opened_at: int
    decided_at: int | None = None
    decided_by: str | None = None
    note: str = ""
