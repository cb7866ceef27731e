import pytest

from nestling_cloud.learning.macs import student_macs
from nestling_cloud.learning.nesting.width_cost import Cost, counted_cost, timed_cost
from nestling_cloud.tasks import Signature
from nestling_core.student.config import StudentConfig, conv_student
from tests.support.channels_cost import channels_cost

SIGNATURE = Signature(shape=[4, 12], classes=["a", "b", "c"])


def test_counted_cost_has_the_bytes_and_operations_of_the_student() -> None:
    config = conv_student(channels=(4, 6), strides=(1, 2))
    sized = StudentConfig(blocks=config.blocks, widths=((2, 3), (4, 6)))

    cost = counted_cost(SIGNATURE, config)

    assert cost((2, 3)).bytes == 3 * 4 * 2 + 3 * 2 * 3 + 3 * 3
    assert cost((2, 3)).latency_us == pytest.approx(student_macs(SIGNATURE, sized, 1) / 1000)
    assert cost((4, 6)).bytes == 3 * 4 * 4 + 3 * 4 * 6 + 6 * 3


def test_timed_cost_replaces_the_latency_and_keeps_the_bytes() -> None:
    cost = timed_cost(channels_cost, lambda widths: 7.0 * len(widths))

    assert cost((2, 3)) == Cost(latency_us=14.0, bytes=5)
