"""Counts the follow-ups of a run, which are deferred inputs and audits that were settled later.

The cloud answered the input later, or the input expired without an answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.store.receipt_row import ReceiptRow
from nestling_core.kinds.kind import Answer

_ANSWERED = frozenset({"deferred", "audited"})


def split(
    rows: Sequence[ReceiptRow],
) -> tuple[list[ReceiptRow], list[ReceiptRow]]:
    """Return the receipts of answers, and those of follow-ups, each in the given order."""
    return (
        [row for row in rows if row.follows is None],
        [row for row in rows if row.follows is not None],
    )


def answer_in(row: ReceiptRow) -> Answer:
    """Return the answer in a receipt."""
    return Answer(row.answer, row.values)


def revised_answers(
    receipts: Sequence[ReceiptRow], follow_ups: Sequence[ReceiptRow]
) -> list[Answer]:
    """Return the last answer to each input: the cloud's revision, if there is one.

    Args:
        receipts: the receipts of answers.
        follow_ups: the receipts of follow-ups.
    """
    later = {
        (row.device, row.follows): answer_in(row) for row in follow_ups if row.reason in _ANSWERED
    }
    return [later.get((row.device, row.fingerprint), answer_in(row)) for row in receipts]


def follow_up_entry(
    receipts: Sequence[ReceiptRow], follow_ups: Sequence[ReceiptRow], revised: NDArray[np.bool_]
) -> Mapping[str, Any]:
    """Return summary.json's entry on follow-ups.

    Args:
        receipts: the receipts of answers.
        follow_ups: the receipts of follow-ups.
        revised: whether the last answer to each input is right, (N,).

    Returns:
        A mapping with these entries:

        - `deferred`: the number of inputs that had to wait for the cloud.
        - `revised`: the number of deferred inputs that the cloud answered later.
        - `changed`: the number of deferred inputs whose answer the cloud changed.
        - `audits`: the number of audits that the cloud answered.
        - `agreeing`: the number of these audits in which the cloud did not change the answer.
        - `expired`: the number of inputs without an answer from the cloud that are not sent again.
        - `waiting`: the number of inputs that still waited for a follow-up at the end of the run.
        - `accuracy`: the accuracy with revised answers, from 0 to 1.
        - `energy_mj`: the radio energy of all follow-ups, in millijoules per input of the run.
    """
    announced = Counter(row.follow_up for row in receipts if row.follow_up)
    reasons = Counter(row.reason for row in follow_ups)
    changed = Counter(row.reason for row in follow_ups if row.agreement != 1)
    return {
        "deferred": announced["deferred"],
        "revised": reasons["deferred"],
        "changed": changed["deferred"],
        "audits": reasons["audited"],
        "agreeing": reasons["audited"] - changed["audited"],
        "expired": reasons["expired"],
        "waiting": announced.total() - len(follow_ups),
        "accuracy": float(revised.mean()) if len(revised) else 0.0,
        "energy_mj": sum(row.energy_radio_mj for row in follow_ups) / max(len(receipts), 1),
    }
