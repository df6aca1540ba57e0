"""What the journal keeps of publications, turned back into items: for recovery, for other nodes, at start."""

from collections.abc import Iterator

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
