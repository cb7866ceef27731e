"""A stream of inputs whose thresholds have known risks, and a device that certifies them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nestling_core.guarantee.audit_blocks import Verdict
from nestling_core.guarantee.certification import Certification, Terms, begin


def terms(
    thresholds: int = 1,
    *,
    risk: float = 0.1,
    first: int = 0,
    dependence: int = 1,
    audit_share: float = 0.01,
) -> Terms:
    """Return the terms of a certification."""
    return Terms(
        risk=risk,
        thresholds=thresholds,
        first=first,
        dependence=dependence,
        audit_share=audit_share,
    )


def verdict(kept: list[bool], changed: list[bool]) -> Verdict:
    """Return a verdict about each threshold."""
    return Verdict(kept=np.array(kept), changed=np.array(changed))


def with_risks(
    rng: np.random.Generator, kept: NDArray[np.float64], risk: float, place: int = 0
) -> Verdict:
    """Return what thresholds that keep these shares of the inputs do with the next one.

    The cloud changes harder inputs more often: in proportion to their score, up to twice the risk.
    The risk of a threshold is therefore the share that it keeps, times the given risk.

    Args:
        rng: the generator of the input.
        kept: the share that each threshold keeps, (T,).
        risk: the risk of a threshold that keeps every input.
        place: the place of the input in the stream, which does not matter.
    """
    del place
    score = rng.random()
    changed = bool(rng.random() < 2 * risk * score)
    return Verdict(kept=score < kept, changed=np.full(len(kept), changed))


def after_one(one: Certification, about: Terms, seen: Verdict, draw: float) -> Certification:
    """Return the certification after one input whose answers come at once.

    Args:
        one: the certification.
        about: the terms of the certification.
        seen: what each threshold does with the input.
        draw: a random number, at least 0 and below 1.
    """
    audited, number = one.draws(draw), one.block.number
    kept = bool(one.in_use) and bool(seen.kept[one.in_use - 1])
    one = one.after_input(about, audited=audited)
    if audited:
        one = one.after_verdict(about, seen, number)
    return one if kept else one.after_sent(seen)


def ever_in_use(
    about: Terms, rng: np.random.Generator, inputs: int, draw: Callable[[int], Verdict]
) -> set[int]:
    """Return the numbers of all thresholds that a device has in use, from 1, on a stream.

    Args:
        about: the terms of the certification.
        rng: the generator that draws audits.
        inputs: the number of inputs.
        draw: a function that returns what each threshold does with an input, by its place.
    """
    one, found = begin(about), set()
    for place in range(inputs):
        one = after_one(one, about, draw(place), float(rng.random()))
        found.add(one.in_use)
    return found
