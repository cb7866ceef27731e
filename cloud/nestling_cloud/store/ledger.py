"""The account of one outbox: which of its receipts are new, and how far it is settled. No I/O.

Whether a receipt came before is told by its sequence alone; whether it was this one, or another of
a copied outbox under the same number, is told by the chain of what is stored. The device compares
it with its own before it lets go of anything, so a repetition costs nothing here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nestling.v1 import receipt_pb2
from nestling_cloud.store import tables
from nestling_cloud.store.receipt_row import (
    LARGEST_INTEGER,
    ReceiptError,
    ReceiptRow,
    check_sequence,
    flatten,
)
from nestling_cloud.store.watermark import Gap, Watermark, advance
from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN

# A device sends a few hundred receipts ahead of what is acknowledged. What lies far behind a hole
# is left for it to repeat, so that nobody can make us keep account of any number of holes.
FARTHEST_AHEAD = 10_000


@dataclass(frozen=True, kw_only=True)
class BatchEffect:
    """What a batch adds: new receipts, and gaps with their reasons."""

    rows: list[ReceiptRow]
    gaps: list[tuple[Gap, str]]


@dataclass(frozen=True, kw_only=True)
class _Sorted:
    """Receipts of a batch that are not settled yet."""

    sound: dict[int, ReceiptRow] = field(default_factory=dict)
    lost: dict[int, tuple[int, str]] = field(default_factory=dict)  # fingerprint and reason
    nowhere: int = 0  # nonsense without a sequence


@dataclass(kw_only=True)
class Ledger:
    """What is known of one outbox.

    Attributes:
        device: whose it is.
        outbox_id: which one.
        contiguous: 1 to this are settled.
        chain: of what is stored up to there, see `nestling_core.telemetry.receipt_chain`.
        highest: largest sequence that is stored or in a gap; nothing lies beyond `contiguous`
            if they are equal.
        redelivered: receipts that came again after they were settled.
        rejected: receipts that made no sense.
        previous_id: outbox that the device wrote before this one, "" if there was none.
        branch: "" for the outboxes of one state folder; those of a copy of it have the id of the
            first one that the copy wrote.
        seen_ms: when a batch came last, Unix time.
        is_new: whether it is in no database yet.
        beyond: fingerprints by sequence of what lies above `contiguous`: stored, or came and
            cannot be.
        gaps: that end above `contiguous`.
    """

    device: str
    outbox_id: str
    contiguous: int = 0
    chain: int = EMPTY_CHAIN
    highest: int = 0
    redelivered: int = 0
    rejected: int = 0
    previous_id: str = ""
    branch: str = ""
    seen_ms: int = 0
    is_new: bool = True
    beyond: dict[int, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)

    def take(self, batch: receipt_pb2.ReceiptBatch) -> BatchEffect:
        """Account for a batch.

        What is settled is never new: its row may have left the ring of receipts since.
        """
        came = self._sort(batch.receipts)
        forgotten = list(self._forgotten(batch))
        self._advance({}, forgotten)
        dropped = [gap for gap in _sound_gaps(batch.gaps) if self._is_near(gap.first)]
        self._advance({}, dropped)
        lost = {n: found for n, found in came.lost.items() if self._is_near(n)}
        self._advance({sequence: mark for sequence, (mark, _) in lost.items()}, ())
        rows = [row for sequence, row in came.sound.items() if self._is_near(sequence)]
        ahead = len(came.sound) - len(rows)
        self._advance({row.sequence: row.fingerprint for row in rows}, ())
        nonsense = came.nowhere + len(came.lost)
        unreadable = sum(reason == tables.UNREADABLE for _, reason in came.lost.values())
        self.rejected += nonsense - unreadable
        self.redelivered += len(batch.receipts) - nonsense - ahead - len(rows)
        gaps = [(gap, tables.FORGOTTEN) for gap in forgotten]
        gaps += [(gap, tables.DROPPED) for gap in dropped]
        gaps += [(Gap(n, n, mark), reason) for n, (mark, reason) in lost.items()]
        return BatchEffect(rows=rows, gaps=gaps)

    def _sort(self, receipts: Iterable[receipt_pb2.Receipt]) -> _Sorted:
        """Tell sound receipts from nonsense, and nonsense with a sequence from the rest.

        What is settled is in neither: devices repeat most when we are late already, so a repeat
        has to be cheap.
        """
        sound: dict[int, ReceiptRow] = {}
        lost: dict[int, tuple[int, str]] = {}
        nowhere = 0
        for receipt in receipts:
            sequence = receipt.sequence
            if 1 <= sequence <= self.contiguous or sequence in self.beyond:
                continue
            if receipt.unreadable and sequence and sequence <= LARGEST_INTEGER:
                lost[sequence] = receipt.fingerprint, tables.UNREADABLE
                continue
            try:
                sound[sequence] = flatten(self.device, self.outbox_id, receipt)
            except ReceiptError:
                if 1 <= sequence <= LARGEST_INTEGER:
                    lost[sequence] = receipt.fingerprint, tables.REJECTED
                else:
                    nowhere += 1
        # One sequence twice in a batch, once sound: that one counts.
        lost = {sequence: found for sequence, found in lost.items() if sequence not in sound}
        return _Sorted(sound=sound, lost=lost, nowhere=nowhere)

    def _is_near(self, sequence: int) -> bool:
        return sequence <= self.contiguous + FARTHEST_AHEAD

    def _forgotten(self, batch: receipt_pb2.ReceiptBatch) -> Iterator[Gap]:
        """Yield what this outbox let go of on an acknowledgement that we know nothing of."""
        if self.contiguous < batch.acknowledged_sequence <= LARGEST_INTEGER:
            yield Gap(self.contiguous + 1, batch.acknowledged_sequence, batch.acknowledged_chain)

    def _advance(self, marks: dict[int, int], gaps: Iterable[Gap]) -> None:
        self.beyond.update(marks)
        self.gaps.extend(gaps)
        if not self.beyond and not self.gaps:
            return
        last_in_gap = max((gap.last for gap in self.gaps), default=0)
        self.highest = max(self.highest, *self.beyond, last_in_gap)
        self.contiguous, self.chain = advance(
            Watermark(self.contiguous, self.chain),
            sorted(self.beyond.items()),
            sorted(self.gaps),
        )
        beyond = self.beyond.items()
        self.beyond = {sequence: mark for sequence, mark in beyond if sequence > self.contiguous}
        self.gaps = [gap for gap in self.gaps if gap.last > self.contiguous]


def _sound_gaps(gaps: Iterable[receipt_pb2.Gap]) -> Iterator[Gap]:
    """Go through one gap for each place where gaps begin, the longest."""
    longest: dict[int, Gap] = {}
    for gap in gaps:
        try:
            first, last = check_sequence(gap.first_sequence), check_sequence(gap.last_sequence)
        except ReceiptError:
            continue
        if first <= last and (first not in longest or longest[first].last < last):
            longest[first] = Gap(first, last, gap.chain)
    return iter(longest.values())
