"""Decide whether the result of federated rounds may be released. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from nestling_cloud.federated.update_checks import HeldOutComparison


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Accuracy that a release may lose, as fractions of 1.

    Attributes:
        calibration: loss allowed in the mean over the capacities on the cloud's calibration data.
        clients: loss allowed for the median client on its held-out data.
    """

    calibration: float
    clients: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The decision about a release.

    Attributes:
        release: True to release the candidate.
        reason: why, with the measured accuracies.
    """

    release: bool
    reason: str


def judge(
    before: Sequence[float],
    after: Sequence[float],
    clients: Sequence[HeldOutComparison],
    margins: Margins,
) -> Verdict:
    """Compare the candidate with the bundle from which the rounds started.

    The median client counts, so that a single dishonest client cannot decide.

    Args:
        before: accuracy of the released bundle on the calibration data, for each capacity.
        after: accuracy of the candidate, likewise.
        clients: comparisons that the clients made on their own held-out data.
        margins: losses that are allowed.
    """
    measured = [client for client in clients if client.held_out]
    if not measured:
        return Verdict(release=False, reason="no client reported its accuracy on held-out data")
    gain = median(client.after - client.before for client in measured)
    figures = (
        f"calibration {_percent(before)} to {_percent(after)}, clients "
        f"{_percent([client.before for client in measured])} to "
        f"{_percent([client.after for client in measured])}, the median client "
        f"{100 * gain:+.1f} points"
    )
    loss = fmean(before) - fmean(after)
    if loss > margins.calibration:
        return Verdict(
            release=False,
            reason=f"the capacities lose {100 * loss:.1f} points on the calibration data, where "
            f"{100 * margins.calibration:g} are allowed: {figures}",
        )
    if -gain > margins.clients:
        return Verdict(
            release=False,
            reason=f"the median client loses {-100 * gain:.1f} points, where "
            f"{100 * margins.clients:g} are allowed: {figures}",
        )
    return Verdict(release=True, reason=figures)


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * fmean(shares):.1f} %"
