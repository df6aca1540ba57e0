"""What the journal keeps of publications, turned back into items: for recovery, for other nodes, at start."""

from collections.abc import Iterable, Iterator

import msgspec

from engine.publication import Item, Publication, Revocation

_decode = msgspec.json.Decoder(list[tuple[str, int, msgspec.Raw]]).decode
_decode_channel = msgspec.json.Decoder(str | None).decode


def items_of(journal_id: int, pubs: str) -> Iterator[Item]:
    """The items of one row. An entry is [channel, offset, data], or for the end of a permission ["", user,
    channel or null].
    """
    if pubs in ("", "[]"):
        return
    for channel, number, rest in _decode(pubs):
        if channel:
            yield Publication(channel, number, bytes(rest), journal_id)
        else:
            yield Revocation(number, _decode_channel(rest), journal_id)


class Handed:
    """Ids of journal rows that were handed out here a moment ago, so that whoever reads the journal's tail again and
    again passes them over. An id stays for one to two terms of `turn`.
    """

    def __init__(self) -> None:
        self._young: set[int] = set()
        self._old: set[int] = set()

    def add(self, journal_ids: Iterable[int]) -> None:
        """These were handed out."""
        self._young.update(journal_ids)

    def turn(self) -> None:
        """A term has passed."""
        self._old, self._young = self._young, set()

    def without(self, journal_ids: Iterable[int]) -> list[int]:
        """Those that were not handed out."""
        young, old = self._young, self._old
        return [number for number in journal_ids if number not in young and number not in old]
