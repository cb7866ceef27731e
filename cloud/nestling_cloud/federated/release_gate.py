"""Decides whether the result of federated rounds may be released. All functions are pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from nestling_cloud.federated.update_checks import HeldOutComparison


@dataclass(frozen=True, kw_only=True)
class Margins:
    """The largest drops in accuracy that a release may cause, as fractions of 1.

    Attributes:
        calibration: the drop on the cloud's calibration data, averaged over the capacities (the
            sizes of the student).
        clients: the drop for the median client. Each client's drop is measured on that client's own
            held-out data.
    """

    calibration: float
    clients: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The decision about a release.

    Attributes:
        release: True if the candidate may be released.
        reason: the reason for the decision, with the measured accuracies.
    """

    release: bool
    reason: str


def judge(
    before: Sequence[float],
    after: Sequence[float],
    clients: Sequence[HeldOutComparison],
    margins: Margins,
) -> Verdict:
    """Return whether the candidate may replace the bundle that the rounds started from, and why.

    The median client decides, so that a single dishonest client has little influence. If no client
    has held-out data, the candidate is not released.

    Args:
        before: the accuracy of each capacity of the released bundle on the calibration data.
        after: the accuracy of each capacity of the candidate on the calibration data.
        clients: the clients' comparisons of the bundle with the candidate, each on the client's own
            held-out data.
        margins: the drops in accuracy that are allowed.
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
