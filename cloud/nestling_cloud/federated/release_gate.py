"""Whether the result of the rounds may be released. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from nestling_cloud.federated.update_checks import HeldOutComparison


@dataclass(frozen=True, kw_only=True)
class Margins:
    """What a release may be worse by, as parts of 1.

    Attributes:
        calibration: the mean over the capacities on the cloud's calibration data.
        clients: the median client on its held-out data.
    """

    calibration: float
    clients: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether to release, and the figures that say why."""

    release: bool
    reason: str


def judge(
    before: Sequence[float],
    after: Sequence[float],
    clients: Sequence[HeldOutComparison],
    margins: Margins,
) -> Verdict:
    """Compare the candidate with the bundle that the rounds began with.

    The median client decides, so that one that lies cannot.

    Args:
        before: accuracy of each capacity on the calibration data, of the released bundle.
        after: of the candidate.
        clients: what they found on their own held-out data.
        margins: what is allowed.
    """
    told = [client for client in clients if client.held_out]
    if not told:
        return Verdict(release=False, reason="no client told how it does on held-out data")
    gain = median(client.after - client.before for client in told)
    figures = (
        f"calibration {_percent(before)} to {_percent(after)}, clients "
        f"{_percent([client.before for client in told])} to "
        f"{_percent([client.after for client in told])}, the median client {100 * gain:+.1f} points"
    )
    loss = fmean(before) - fmean(after)
    if loss > margins.calibration:
        return Verdict(
            release=False,
            reason=f"the capacities lose {100 * loss:.1f} points on the calibration data, and "
            f"{100 * margins.calibration:g} are allowed: {figures}",
        )
    if -gain > margins.clients:
        return Verdict(
            release=False,
            reason=f"the median client loses {-100 * gain:.1f} points, and "
            f"{100 * margins.clients:g} are allowed: {figures}",
        )
    return Verdict(release=True, reason=figures)


def _percent(shares: Sequence[float]) -> str:
    return f"{100 * fmean(shares):.1f} %"
