from dataclasses import astuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.latency.family import Family
from nestling_cloud.latency.features import MACS, NAMES, features, layer_works
from nestling_cloud.latency.widths import random_widths
from nestling_cloud.learning.macs import student_macs
from nestling_cloud.tasks import Signature
from nestling_core.student.blocks import Conv, Depthwise, Gru, Shuffle
from nestling_core.student.config import StudentConfig, separable_student

PICTURE = Signature(shape=[2, 8, 8], classes=["a", "b", "c"])
MIXED = Family(
    signature=PICTURE,
    config=StudentConfig(
        blocks=(
            Conv(channels=8, stride=2, groups=2),
            Shuffle(groups=2),
            Depthwise(),
            Conv(channels=3, kernel=1),
        )
    ),
)
# Edge fields of 8 and of 3 channels at 16 positions: 8 is a multiple of 4, neither one of 16.
EIGHT = (16 * 8, 0, 0, 1, 16 * 8)
THREE = (16 * 3, 1, 16 * 3, 1, 16 * 3)


def test_layer_works_match_hand_counts() -> None:
    works = [(kind, astuple(work)) for kind, work in layer_works(MIXED, (8, 3))]

    # Fields: layers, MACs, MACs in blocks of 16 x 4, gathered, values; odd and ragged with their
    # values; source, channels, taps, groups, stride, steps. After a stride of 2 there are 16
    # positions.
    assert works == [
        # 2 groups, each 4 rows (16) of 1 channel x 9 taps (12)
        ("grouped", (1, 16 * 2 * 4 * 9, 16 * 2 * 16 * 12, 16 * 18, *EIGHT, 2, 8, 9, 2, 2, 0)),
        ("shuffle", (1, 0, 0, 0, *EIGHT, 8, 8, 0, 2, 1, 0)),
        # 8 channels (16) of 9 taps (12)
        ("depthwise", (1, 16 * 8 * 9, 16 * 16 * 12, 16 * 72, *EIGHT, 8, 8, 9, 8, 1, 0)),
        # 3 rows (16) of 8 channels
        ("dense", (1, 16 * 3 * 8, 16 * 16 * 8, 16 * 8, *THREE, 8, 3, 1, 1, 1, 0)),
        # 3 classes (16) of 3 channels (4)
        ("dense", (1, 9, 64, 3, 3, 1, 3, 1, 3, 3, 3, 1, 1, 1, 0)),
    ]


def test_recurrent_layer_multiplies_input_and_state_at_every_step() -> None:
    window = Signature(shape=[2, 10], classes=["a", "b", "c"])
    family = Family(signature=window, config=StudentConfig(blocks=(Gru(channels=4),)))

    kind, work = next(layer_works(family, (4,)))

    assert (kind, work.steps) == ("recurrent", 10)
    assert work.macs == 10 * (12 * 2 + 12 * 4)
    assert work.blocked_macs == 10 * (16 * 4 + 16 * 4)
    assert work.gathered == 10 * (2 + 4)


def test_features_sum_the_layers_of_each_kind() -> None:
    named = dict(zip(NAMES, features(MIXED, (8, 3)), strict=True))

    assert named["dense_layers"] == 2
    assert named["dense_macs"] == 16 * 3 * 8 + 9
    assert named["depthwise_macs"] == 16 * 8 * 9
    assert named["recurrent_layers"] == named["recurrent_macs"] == 0


@given(seed=st.integers(0, 2**32 - 1))
def test_macs_match_those_of_the_bundle(seed: int) -> None:
    config = separable_student(channels=(8, 12, 16), strides=(2, 1, 1))
    family = Family(signature=PICTURE, config=config)
    widths = random_widths(config, 3, np.random.default_rng(seed))[-1]

    counted = features(family, widths)[MACS].sum()

    assert counted == student_macs(PICTURE, config.narrowed(widths), 1)
