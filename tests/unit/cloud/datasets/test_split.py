from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nestling_cloud.datasets.errors import DatasetError
from nestling_cloud.datasets.items import Item, Part
from nestling_cloud.datasets.split import SplitPlan, divide, plan_split


def items(*groups: str, labels: str = "ab") -> list[Item]:
    return [
        Item(name=f"{n}", labels=(labels[n % len(labels)],), group=g) for n, g in enumerate(groups)
    ]


def parts(found: list[Item], plan: SplitPlan, seed: int = 0) -> list[Part]:
    return divide(found, [1] * len(found), [item.name for item in found], plan, seed)


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=30, max_size=90), st.integers(0, 5))
def test_no_group_is_in_two_parts(numbers: list[int], seed: int) -> None:
    found = items(*map(str, numbers))
    plan = plan_split(found, [1] * len(found), seed=seed)
    if plan.by != "group":
        return

    held = {(item.group, part) for item, part in zip(found, parts(found, plan, seed), strict=True)}

    assert max(Counter(group for group, _ in held).values()) == 1


def test_plan_lists_groups_near_the_wanted_shares() -> None:
    found = items(*"abcdefghij" * 10)

    plan = plan_split(found, [1] * len(found))

    assert plan.by == "group"
    assert not isinstance(plan.test, float)
    assert not isinstance(plan.calibration, float)
    assert (len(plan.test), len(plan.calibration)) == (2, 1)


def test_every_label_stays_in_the_training_data_if_possible() -> None:
    rare = [Item(name=f"r{n}", labels=("rare",), group="ab"[n % 2]) for n in range(10)]
    found = [*rare, *items(*"bcdefghij" * 10)]

    for seed in range(5):
        plan = plan_split(found, [1] * len(found), seed=seed)
        divided = parts(found, plan, seed)
        assert "train" in divided[:10]


def test_inputs_without_groups_are_divided_by_label() -> None:
    found = items(*[""] * 100)

    divided = parts(found, plan_split(found, [1] * 100))

    shares = Counter(zip((item.labels for item in found), divided, strict=True))
    assert shares[("a",), "test"] == shares[("b",), "test"] == 10
    assert shares[("a",), "calibration"] == shares[("b",), "calibration"] == 8


def test_copies_of_a_file_stay_together() -> None:
    found = items(*[""] * 200)
    twins = [str(number % 50) for number in range(200)]

    divided = divide(found, [1] * 200, twins, SplitPlan(by="input"), 0)

    for twin in range(50):
        assert len(set(divided[twin::50])) == 1


def test_ready_made_parts_are_kept_and_calibration_comes_from_the_training_data() -> None:
    found = [
        Item(name=f"{number}", labels=("a",), part="train" if number < 80 else "test")
        for number in range(100)
    ]
    plan = plan_split(found, [1] * 100)

    divided = parts(found, plan)

    assert plan.by == "folder"
    assert set(divided[80:]) == {"test"}
    assert Counter(divided[:80]) == {"train": 68, "calibration": 12}


def test_same_seed_gives_the_same_division_and_the_plans_seed_counts_first() -> None:
    found = items(*[""] * 60)
    fixed = SplitPlan(by="input", seed=3)

    assert parts(found, SplitPlan(by="input"), 1) == parts(found, SplitPlan(by="input"), 1)
    assert parts(found, SplitPlan(by="input"), 1) != parts(found, SplitPlan(by="input"), 2)
    assert parts(found, fixed, 1) == parts(found, fixed, 2)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (SplitPlan(by="group", test=("x",)), "do not exist: x; there are a, b, c"),
        (SplitPlan(by="group", test=("a",), calibration=("a", "b")), "in two parts: a"),
        (SplitPlan(by="group", test=("a", "b"), calibration=("c",)), "no train data"),
        (SplitPlan(by="input", test=("a",)), "has shares"),
    ],
)
def test_plan_that_cannot_be_followed_is_refused(plan: SplitPlan, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        parts(items(*"abc" * 5), plan)


def test_too_few_files_for_three_parts_are_refused() -> None:
    with pytest.raises(DatasetError, match="no calibration data: 2 files"):
        parts(items("", ""), SplitPlan(by="input"))
