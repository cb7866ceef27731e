from typing import Any

import pytest

from nestling_cloud.recipes.distillation import Distillation, DistillationError

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": 0.0}, r"temperature 0\.0: choose a positive number"),
    ({"temperature": float("inf")}, "temperature inf"),
    ({"temperature": float("nan")}, "temperature nan"),
    ({"weight": -0.1}, r"weight -0\.1: choose 0 \(labels only\) to 1 \(teacher only\)"),
    ({"weight": 1.1}, r"weight 1\.1"),
    ({"weight": float("nan")}, "weight nan"),
    ({"feature": "hint"}, "feature 'hint': choose one of none, hints, attention, angular"),
    ({"feature": "hints", "feature_weight": 0.0}, r"feature_weight 0\.0: .* or the feature 'none'"),
    ({"feature": "hints", "feature_weight": float("inf")}, "feature_weight inf"),
    ({"assistants": (16, 16)}, r"assistants \(16, 16\): choose decreasing widths"),
    ({"assistants": (8, 16)}, "choose decreasing widths"),
    ({"assistants": (16, 0)}, "of at least 1"),
    (
        {"assistants": (16,), "weight": 0.0},
        "assistants need the teacher's answers, .* choose a weight above 0",
    ),
]


@pytest.mark.parametrize(("fields", "words"), WRONG)
def test_invalid_distillation_option_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(DistillationError, match=words):
        Distillation(**fields)


@pytest.mark.parametrize(
    ("distillation", "asks"),
    [
        (Distillation(), True),
        (Distillation(weight=1.0, assistants=(16, 8)), True),
        (Distillation(weight=0.0), False),
        (Distillation(weight=0.0, feature="angular"), True),
    ],
)
def test_teacher_is_needed_for_its_answers_or_its_features(
    distillation: Distillation, asks: bool
) -> None:
    assert distillation.asks_teacher == asks
