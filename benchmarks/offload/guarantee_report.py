"""Turns the results of guarantees into figures and tables, beside those of the study."""

from collections.abc import Sequence

import numpy as np

from benchmarks.offload.guarantee import Study
from benchmarks.report import Figure, ResultTable, figure, result_table
from nestling_core.guarantee.certification import DELTA

# The study's figures: streams violated, seen by the cloud, inputs until certified (dependence 20
# for people, 1 for synthetic independent inputs like those of the calibration, or twice as hard).
_ANCHORS = {
    ("unseen people, smallest, without filter", 0.05): ".024 / .49 / 5,650",
    ("unseen people, smallest, without filter", 0.1): ".034 / .29 / 1,680",
    ("unseen people, largest, without filter", 0.05): ".004 / .22 / 2,540",
    ("unseen people, largest, without filter", 0.1): ".046 / .10 / 1,160",
    ("corrupted pictures, smallest", 0.05): ".014 to .030 / .51 to .79 / 418 to 1,120",
    ("corrupted pictures, smallest", 0.1): ".016 to .030 / .47 to .65 / 190 to 386",
}
_FOUND = {
    ("pictures, x3 half way", 0.05): ".56 / 1,001",
    ("pictures, x3 half way", 0.1): ".99 / 262",
    ("pictures, x5 half way", 0.05): ".91 / 369",
    ("pictures, x5 half way", 0.1): "1.00 / 109",
}
_NEVER = float("inf")


def guarantee_figures(studies: Sequence[Study]) -> dict[str, Figure]:
    """Return the share of streams in which the risk in use ever exceeds the tolerated one."""
    found = {}
    for study in _steady(studies):
        violated = 100 * float(np.mean([one.violated for one in study.results]))
        found[f"guarantee of {study.risk:.0%}, {study.name}: streams that exceed it"] = figure(
            [violated],
            "%",
            goal=f"<= {100 * DELTA:.0f}",
            anchor=f"of {len(study.results)} streams",
        )
    for study in _shifted(studies):
        share, delay = _detected(study)
        name = f"guarantee of {study.risk:.0%}, {study.name}: streams that notice"
        found[name] = figure([100 * share], "%", anchor=f"after {delay} inputs, median")
    return found


def guarantee_tables(studies: Sequence[Study]) -> list[ResultTable]:
    """Return a table of steady inputs and one of shifts."""
    return [_steady_table(_steady(studies)), _shift_table(_shifted(studies))]


def _steady(studies: Sequence[Study]) -> list[Study]:
    return [study for study in studies if (study.name, study.risk) not in _FOUND]


def _shifted(studies: Sequence[Study]) -> list[Study]:
    return [study for study in studies if (study.name, study.risk) in _FOUND]


def _steady_table(studies: Sequence[Study]) -> ResultTable:
    rows = []
    for study in studies:
        results = study.results
        taken = [_NEVER if one.certified is None else one.certified for one in results]
        rows.append(
            [
                *(study.name, f"{100 * study.risk:g}", _range(study.dependence)),
                f"{100 * np.mean([one.violated for one in results]):.1f}",
                f"{100 * np.mean(np.isfinite(taken)):.0f}",
                f"{_quantile(taken, 0.5)} ({_quantile(taken, 0.9)})",
                _estimate(study),
                f"{100 * np.mean([one.asked for one in results]):.0f}",
                f"{np.mean([one.audits for one in results]):.0f}",
                f"{100 * np.mean([one.alarms > 0 for one in results]):.1f}",
                _ANCHORS.get((study.name, study.risk), ""),
            ]
        )
    return result_table(
        "Guarantees",
        "inputs | risk % | dependence length | streams that exceed it % | certified % | "
        "inputs until certified, median (90 %) | foreseen / taken, median | seen by the cloud % | "
        "audits | alarms, % of streams | study: exceeded / seen / inputs",
        rows,
        "A stream exceeds the risk if a threshold is ever in use whose own policy has a larger "
        "risk on a long stream of the same inputs. *Audits*: kept inputs that the cloud was asked "
        "about. The shares are over the whole stream, in which every input is sent until a "
        "threshold is certified.",
    )


def _shift_table(studies: Sequence[Study]) -> ResultTable:
    rows = []
    for study in studies:
        share, delay = _detected(study)
        rows.append(
            [
                *(study.name, f"{100 * study.risk:g}"),
                f"{100 * np.mean([one.violated for one in study.results]):.1f}",
                f"{100 * np.mean([one.certified_at_shift for one in study.results]):.0f}",
                f"{100 * np.mean([one.exceeded for one in study.results]):.0f}",
                *(f"{100 * share:.0f}", delay, _FOUND[study.name, study.risk]),
            ]
        )
    return result_table(
        "Shifts",
        "inputs | risk % | streams that exceed it before % | certified at the shift % | "
        "exceeds it after the shift % | noticed in % of these | inputs until the alarm, median | "
        "study: noticed / inputs",
        rows,
        "After 10,000 pictures, those that the cloud changes come several times as often; 10,000 "
        "more follow. A threshold that was in use may keep the risk nevertheless; then there is "
        "nothing to notice.",
    )


def _detected(study: Study) -> tuple[float, str]:
    """Return the share of streams that exceed the risk with an alarm, and the median delay."""
    exceeded = [one for one in study.results if one.exceeded]
    delays = [one.found for one in exceeded if one.found is not None]
    if not exceeded:
        return float("nan"), "none"
    return len(delays) / len(exceeded), f"{np.median(delays):,.0f}" if delays else "none"


def _estimate(study: Study) -> str:
    ratios = [
        one.estimated / one.certified
        for one in study.results
        if one.estimated is not None and one.certified is not None
    ]
    return f"{np.median(ratios):.2f}" if ratios else "none"


def _quantile(values: Sequence[float], part: float) -> str:
    found = float(np.quantile(values, part, method="higher"))
    return f"{found:,.0f}" if np.isfinite(found) else "not within the stream"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
