"""Tracks which receipts of an outbox are settled, so that no receipt is stored twice.

A sequence number is settled if its receipt is stored or will never be stored. Duplicates are
recognized by their sequence number alone, which is cheap. However, a copied outbox may use the same
sequence number for a different receipt. The chain, a hash over the receipts up to the first
unsettled one, reveals such a conflict: every acknowledgement carries the chain, and a device
deletes receipts only if its own chain is the same. This module does no I/O.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nestling.v1 import receipt_pb2
from nestling_cloud.store import tables
from nestling_cloud.store.receipt_row import LARGEST_INTEGER, ReceiptRow
from nestling_cloud.store.receipt_validation import ReceiptError, check_sequence, flatten
from nestling_cloud.store.watermark import Gap, Watermark, advance
from nestling_core.telemetry.receipt_chain import EMPTY_CHAIN

# A device sends a few hundred receipts ahead of the last acknowledgement. Receipts farther beyond
# a hole are ignored until the device repeats them, so that no device can make us track any number
# of holes.
FARTHEST_AHEAD = 10_000


@dataclass(frozen=True, kw_only=True)
class BatchEffect:
    """The receipts and gaps that a batch adds to the store.

    Attributes:
        rows: the new receipts.
        gaps: the new gaps (ranges of sequences whose receipts will never be stored), each with
            its reason.
    """

    rows: list[ReceiptRow]
    gaps: list[tuple[Gap, str]]


@dataclass(frozen=True, kw_only=True)
class _Unsettled:
    """The receipts of a batch that are not settled yet.

    Attributes:
        sound: a mapping from sequence to the valid receipt.
        lost: the receipts that are invalid or that the device could not read, as a mapping from
            sequence to the receipt's fingerprint and the reason for its gap.
        nowhere: the number of invalid receipts without a valid sequence.
    """

    sound: dict[int, ReceiptRow] = field(default_factory=dict)
    lost: dict[int, tuple[int, str]] = field(default_factory=dict)
    nowhere: int = 0


@dataclass(kw_only=True)
class Ledger:
    """The cloud's account of one outbox.

    Attributes:
        device: the id of the device that owns the outbox.
        outbox_id: the id of the outbox.
        contiguous: the largest N for which sequences 1 to N are settled, that is, stored or in a
            gap.
        chain: the chain (a hash) over the receipts up to `contiguous`, see
            `nestling_core.telemetry.receipt_chain`.
        highest: the largest sequence that is stored or in a gap; equal to `contiguous` if there
            is none above it.
        redelivered: the number of receipts that arrived again after they were settled.
        rejected: the number of invalid receipts.
        previous_id: the id of the outbox that the device wrote before this one; "" if there was
            none.
        branch: "" for an outbox of the original state folder. For an outbox of a copy of that
            folder, the id of the first outbox that the copy wrote.
        seen_ms: the Unix time at which the last batch arrived.
        is_new: whether the outbox is not in the database yet.
        beyond: a mapping from the sequence of each received receipt above `contiguous` to the
            receipt's fingerprint. These receipts are stored, or cannot be stored because they are
            invalid or unreadable.
        gaps: the gaps of receipts that were not received, if they end above `contiguous`.
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
        """Enter a batch into the ledger, and return the receipts and gaps that are new.

        A settled receipt is never new, even if its row has been deleted since. Receipts that are
        more than `FARTHEST_AHEAD` sequences above `contiguous` are ignored, and so are gaps that
        begin there; the device repeats them later. Invalid gaps are ignored too.
        """
        unsettled = self._unsettled(batch.receipts)
        forgotten = list(self._forgotten(batch))
        self._advance({}, forgotten)
        dropped = [gap for gap in _sound_gaps(batch.gaps) if self._is_near(gap.first)]
        self._advance({}, dropped)
        lost = {n: found for n, found in unsettled.lost.items() if self._is_near(n)}
        self._advance({sequence: mark for sequence, (mark, _) in lost.items()}, ())
        rows = [row for sequence, row in unsettled.sound.items() if self._is_near(sequence)]
        ahead = len(unsettled.sound) - len(rows)
        self._advance({row.sequence: row.fingerprint for row in rows}, ())
        unusable = unsettled.nowhere + len(unsettled.lost)
        unreadable = sum(reason == tables.UNREADABLE for _, reason in unsettled.lost.values())
        self.rejected += unusable - unreadable
        self.redelivered += len(batch.receipts) - unusable - ahead - len(rows)
        gaps = [(gap, tables.FORGOTTEN) for gap in forgotten]
        gaps += [(gap, tables.DROPPED) for gap in dropped]
        gaps += [(Gap(n, n, mark), reason) for n, (mark, reason) in lost.items()]
        return BatchEffect(rows=rows, gaps=gaps)

    def _unsettled(self, receipts: Iterable[receipt_pb2.Receipt]) -> _Unsettled:
        """Return the receipts that are not settled, divided into valid and lost receipts.

        Settled receipts are skipped before any other check, because devices repeat the most
        receipts when the cloud is already slow.
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
        # If a batch has a sequence twice, valid and invalid, the valid receipt counts.
        lost = {sequence: found for sequence, found in lost.items() if sequence not in sound}
        return _Unsettled(sound=sound, lost=lost, nowhere=nowhere)

    def _is_near(self, sequence: int) -> bool:
        return sequence <= self.contiguous + FARTHEST_AHEAD

    def _forgotten(self, batch: receipt_pb2.ReceiptBatch) -> Iterator[Gap]:
        """Yield the gap of receipts that the cloud once acknowledged but no longer knows, if any.

        The device has deleted these receipts.
        """
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
    """Return an iterator over the valid gaps.

    Of several gaps with the same first sequence, only the longest is returned.
    """
    longest: dict[int, Gap] = {}
    for gap in gaps:
        try:
            first, last = check_sequence(gap.first_sequence), check_sequence(gap.last_sequence)
        except ReceiptError:
            continue
        if first <= last and (first not in longest or longest[first].last < last):
            longest[first] = Gap(first, last, gap.chain)
    return iter(longest.values())
