"""The account of one outbox: which of its receipts are new, and how far it is settled. No I/O."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nestling.v1 import receipt_pb2
from nestling_cloud.telemetry import tables
from nestling_cloud.telemetry.receipts import (
    LARGEST_INTEGER,
    ReceiptError,
    ReceiptRow,
    check_sequence,
    flatten,
)
from nestling_cloud.telemetry.watermark import Gap, advance

# A device sends a few hundred receipts ahead of what is acknowledged. What lies far behind a hole
# is left for it to repeat, so that nobody can make us keep account of any number of holes.
FARTHEST_AHEAD = 10_000


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a batch adds: new receipts, and gaps with their reasons."""

    rows: list[ReceiptRow]
    gaps: list[tuple[Gap, str]]


@dataclass(kw_only=True)
class Ledger:
    """What is known of one outbox.

    Attributes:
        device: whose it is.
        outbox_id: which one.
        contiguous: 1 to this are settled.
        highest: largest sequence that is stored or in a gap; nothing lies beyond `contiguous`
            if they are equal.
        redelivered: receipts that came again after they were settled.
        rejected: receipts that made no sense.
        beyond: sequences above `contiguous` that are stored.
        gaps: that end above `contiguous`.
    """

    device: str
    outbox_id: str
    contiguous: int = 0
    highest: int = 0
    redelivered: int = 0
    rejected: int = 0
    beyond: set[int] = field(default_factory=set)
    gaps: list[Gap] = field(default_factory=list)

    def take(self, batch: receipt_pb2.ReceiptBatch) -> Taken:
        """Account for a batch.

        What is settled is never new: its row may have left the ring of receipts since.
        """
        sound, nonsense, rejected = self._sort(batch.receipts)
        forgotten = [(gap, tables.FORGOTTEN) for gap in self._forgotten(batch)]
        self._advance((), [gap for gap, _ in forgotten])
        found = [(gap, tables.DROPPED) for gap in _sound_gaps(batch.gaps)]
        found += [(Gap(sequence, sequence), tables.REJECTED) for sequence in nonsense]
        gaps = [(gap, reason) for gap, reason in found if self._is_near(gap.first)]
        self._advance((), [gap for gap, _ in gaps])
        gaps += forgotten
        ahead = sum(not self._is_near(sequence) for sequence in sound)
        rows = [
            row
            for sequence, row in sound.items()
            if self._is_near(sequence) and sequence not in self.beyond
        ]
        self._advance([row.sequence for row in rows], ())
        self.redelivered += len(batch.receipts) - rejected - ahead - len(rows)
        self.rejected += rejected
        return Taken(rows=rows, gaps=gaps)

    def _sort(
        self, receipts: Iterable[receipt_pb2.Receipt]
    ) -> tuple[dict[int, ReceiptRow], list[int], int]:
        """Tell sound receipts from nonsense, and nonsense with a sequence from the rest.

        What is settled is in neither: devices repeat most when we are late already, so a repeat
        has to be cheap.
        """
        sound: dict[int, ReceiptRow] = {}
        nonsense: list[int] = []
        rejected = 0
        for receipt in receipts:
            if 1 <= receipt.sequence <= self.contiguous:
                continue
            try:
                row = flatten(self.device, self.outbox_id, receipt)
                sound[row.sequence] = row
            except ReceiptError:
                rejected += 1
                if 1 <= receipt.sequence <= LARGEST_INTEGER:
                    nonsense.append(receipt.sequence)
        return sound, nonsense, rejected

    def _is_near(self, sequence: int) -> bool:
        return sequence <= self.contiguous + FARTHEST_AHEAD

    def _forgotten(self, batch: receipt_pb2.ReceiptBatch) -> Iterator[Gap]:
        """Yield what this outbox let go of on an acknowledgement that we know nothing of."""
        if self.contiguous < batch.acknowledged_sequence <= LARGEST_INTEGER:
            yield Gap(self.contiguous + 1, batch.acknowledged_sequence)

    def _advance(self, sequences: Iterable[int], gaps: Iterable[Gap]) -> None:
        self.beyond.update(sequences)
        self.gaps.extend(gaps)
        if not self.beyond and not self.gaps:
            return
        last_in_gap = max((gap.last for gap in self.gaps), default=0)
        self.highest = max(self.highest, *self.beyond, last_in_gap)
        self.contiguous = advance(self.contiguous, sorted(self.beyond), sorted(self.gaps))
        self.beyond = {sequence for sequence in self.beyond if sequence > self.contiguous}
        self.gaps = [gap for gap in self.gaps if gap.last > self.contiguous]


def _sound_gaps(gaps: Iterable[receipt_pb2.Gap]) -> Iterator[Gap]:
    """Go through one gap for each place where gaps begin, the longest."""
    longest: dict[int, int] = {}
    for gap in gaps:
        try:
            first, last = check_sequence(gap.first_sequence), check_sequence(gap.last_sequence)
        except ReceiptError:
            continue
        if first <= last:
            longest[first] = max(last, longest.get(first, 0))
    return (Gap(first, last) for first, last in longest.items())
