"""Divides data into training, calibration and test data.

A split by group keeps each group in one part of the data.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.items import Item, Part

CALIBRATION_SHARE, TEST_SHARE = 0.15, 0.2
MOST_LISTED = 40
"""The most groups that a plan lists by name."""

_TRIES = 300
_FEWEST_GROUPS = 3


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """How data is divided.

    Attributes:
        by: "folder" if the data is divided already (calibration inputs are then taken from the
            training data, unless there are some), "group" if groups stay together, or "input".
        calibration: the groups, or the share of the inputs, for calibration.
        test: the groups, or the share of the inputs, for the test. It means nothing by "folder".
        seed: the random seed of the division; None for the seed of the run.
    """

    by: Literal["folder", "group", "input"]
    calibration: Sequence[str] | float = CALIBRATION_SHARE
    test: Sequence[str] | float = TEST_SHARE
    seed: int | None = None


def plan_split(items: Sequence[Item], weights: Sequence[int], *, seed: int = 0) -> SplitPlan:
    """Decide how data is divided.

    Args:
        items: the files.
        weights: the number of inputs in each file.
        seed: the random seed for choosing calibration and test groups.
    """
    if all(item.part is not None for item in items) and {"train", "test"} <= {
        item.part for item in items
    }:
        return SplitPlan(by="folder")
    groups = {item.group for item in items}
    if len(groups) < _FEWEST_GROUPS:
        return SplitPlan(by="input")
    if len(groups) > MOST_LISTED:
        return SplitPlan(by="group")
    dealt = _deal_groups(items, weights, CALIBRATION_SHARE, TEST_SHARE, seed)
    return SplitPlan(
        by="group",
        calibration=sorted(group for group, part in dealt.items() if part == "calibration"),
        test=sorted(group for group, part in dealt.items() if part == "test"),
    )


def divide(
    items: Sequence[Item],
    weights: Sequence[int],
    twins: Sequence[str],
    plan: SplitPlan,
    seed: int,
) -> list[Part]:
    """Return the part of every file.

    Args:
        items: the files.
        weights: the number of inputs in each file.
        twins: a text for each file, equal for files with the same content. Only a split by input
            keeps these together.
        plan: how they are divided.
        seed: the random seed, unless the plan has one.

    Raises:
        DatasetError: the plan names a group that does not exist, or in two parts; or a part would
            be empty.
    """
    seed = seed if plan.seed is None else plan.seed
    if plan.by == "folder":
        parts = _ready_made(items, weights, twins, plan, seed)
    elif plan.by == "input":
        parts = _by_input(items, twins, plan, seed)
    else:
        dealt = _named_groups(items, weights, plan, seed)
        parts = [dealt[item.group] for item in items]
    for part in ("train", "calibration", "test"):
        if part not in parts:
            raise DatasetError(
                f"there would be no {part} data: {len(items)} files in "
                f"{len({item.group for item in items})} groups are too few, or the split names "
                "other groups"
            )
    return parts


def _ready_made(
    items: Sequence[Item],
    weights: Sequence[int],
    twins: Sequence[str],
    plan: SplitPlan,
    seed: int,
) -> list[Part]:
    parts: list[Part] = [item.part or "train" for item in items]
    if "calibration" in parts:
        return parts
    chosen = [number for number, part in enumerate(parts) if part == "train"]
    train = [items[number] for number in chosen]
    inner = SplitPlan(by="input", calibration=plan.calibration, test=0.0)
    if len({item.group for item in train}) >= _FEWEST_GROUPS:
        dealt = _named_groups(
            train,
            [weights[number] for number in chosen],
            SplitPlan(by="group", calibration=plan.calibration, test=()),
            seed,
        )
        found = [dealt[item.group] for item in train]
    else:
        found = _by_input(train, [twins[number] for number in chosen], inner, seed)
    for number, part in zip(chosen, found, strict=True):
        parts[number] = part
    return parts


def _by_input(
    items: Sequence[Item], twins: Sequence[str], plan: SplitPlan, seed: int
) -> list[Part]:
    """Divide files at random, in the same shares for every label, twins together."""
    shares = plan.calibration, plan.test
    if not all(isinstance(share, float | int) for share in shares):
        raise DatasetError("a split by input has shares for calibration and test, not groups")
    rng = np.random.default_rng(seed)
    members: dict[tuple[str, ...], dict[str, None]] = {}
    for item, twin in zip(items, twins, strict=True):
        members.setdefault(tuple(item.labels), {})[twin] = None
    dealt: dict[str, Part] = {}
    for names in members.values():
        order = rng.permutation(len(names))
        marks = np.cumsum([_count(share, len(names)) for share in shares])
        for place, twin in zip(order, names, strict=True):
            part: Part = "calibration" if place < marks[0] else "test"
            dealt.setdefault(twin, part if place < marks[1] else "train")
    return [dealt[twin] for twin in twins]


def _count(share: object, whole: int) -> int:
    assert isinstance(share, float | int)
    return min(max(round(share * whole), 1 if share > 0 else 0), whole // 3)


def _named_groups(
    items: Sequence[Item], weights: Sequence[int], plan: SplitPlan, seed: int
) -> Mapping[str, Part]:
    groups = {item.group for item in items}
    wanted: dict[Part, Sequence[str] | float] = {"calibration": plan.calibration, "test": plan.test}
    named = {part: names for part, names in wanted.items() if not isinstance(names, float | int)}
    listed = [name for names in named.values() for name in names]
    unknown = sorted(set(listed) - groups)
    if unknown:
        raise DatasetError(
            f"the split names groups that do not exist: {', '.join(unknown)}; there are "
            f"{', '.join(sorted(groups)[:MOST_LISTED])}"
        )
    twice = [name for name, count in Counter(listed).items() if count > 1]
    if twice:
        raise DatasetError(f"the split names groups in two parts: {', '.join(sorted(twice))}")
    free = [number for number, item in enumerate(items) if item.group not in set(listed)]
    dealt = _deal_groups(
        [items[number] for number in free],
        [weights[number] for number in free],
        plan.calibration if isinstance(plan.calibration, float | int) else 0.0,
        plan.test if isinstance(plan.test, float | int) else 0.0,
        seed,
    )
    return {**dealt, **{name: part for part, names in named.items() for name in names}}


def _deal_groups(
    items: Sequence[Item], weights: Sequence[int], calibration: float, test: float, seed: int
) -> dict[str, Part]:
    """Deal whole groups at random, several times, and return the best deal.

    The best one has every label in every part, and is closest to the wanted shares.
    """
    if not items:
        return {}
    groups = sorted({item.group for item in items})
    labels = sorted({tuple(item.labels) for item in items})
    counts = np.zeros((len(groups), len(labels)))
    rows, columns = ({name: n for n, name in enumerate(names)} for names in (groups, labels))
    for item, weight in zip(items, weights, strict=True):
        counts[rows[item.group], columns[tuple(item.labels)]] += weight
    rng, best, best_loss = np.random.default_rng(seed), dict[str, Part](), np.inf
    for _ in range(_TRIES):
        order = rng.permutation(len(groups))
        deal = _one_deal(counts.sum(1), order, calibration, test)
        loss = _loss(counts, deal, calibration, test)
        if loss < best_loss:
            best_loss = loss
            best = {group: deal[number] for number, group in enumerate(groups)}
    return best


def _one_deal(
    sizes: "np.ndarray[tuple[int], np.dtype[np.float64]]",
    order: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    calibration: float,
    test: float,
) -> list[Part]:
    deal: list[Part] = ["train"] * len(order)
    waiting = order.tolist()
    wanted: list[tuple[Part, float]] = [("test", test), ("calibration", calibration)]
    for number, (part, share) in enumerate(wanted):
        # Every later part, and the training data, gets a group too.
        reserved = 1 + sum(later > 0 for _, later in wanted[number + 1 :])
        target, held = share * sizes.sum(), 0.0
        # The group that comes nearest to the share is the last one.
        while (
            share > 0
            and len(waiting) > reserved
            and (held == 0 or abs(held + sizes[waiting[0]] - target) < abs(held - target))
        ):
            group = waiting.pop(0)
            held += float(sizes[group])
            deal[group] = part
    return deal


def _loss(
    counts: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    deal: Sequence[Part],
    calibration: float,
    test: float,
) -> float:
    shares: dict[Part, float] = {
        "train": 1 - calibration - test,
        "calibration": calibration,
        "test": test,
    }
    loss, parts = 0.0, np.array(deal)
    for part, share in shares.items():
        held = counts[parts == part].sum(0)
        missing = int((held == 0).sum()) if share > 0 else 0
        loss += (10 if part == "train" else 1) * missing + abs(held.sum() / counts.sum() - share)
    return loss
