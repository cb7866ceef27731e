import numpy as np
import torch

from nestling_cloud.latency.measure import medians_us
from nestling_cloud.latency.network import int8_network
from nestling_cloud.learning.onnx.float_export import export_fp32
from nestling_core.execution.session import open_session
from nestling_core.student.network import NestedStudent
from tests.support.tiny_probes import TINY_FAMILY


def test_float32_and_int8_networks_are_timed_in_one_run() -> None:
    signature, config = TINY_FAMILY.signature, TINY_FAMILY.config
    student = NestedStudent(signature, config).eval()
    int8 = int8_network(TINY_FAMILY, config.widths_at(1), np.random.default_rng(0))
    sessions = [
        open_session(export_fp32(student, signature, 1)),
        open_session(int8.template, int8.tensors),
    ]

    assert all(1 < found < 1e5 for found in medians_us(sessions, seconds=0.02, rounds=2))


def test_float32_model_is_the_students_capacity() -> None:
    signature, config = TINY_FAMILY.signature, TINY_FAMILY.config
    student = NestedStudent(signature, config).eval()
    inputs = torch.randn(3, *signature.shape)

    (logits,) = open_session(export_fp32(student, signature, 2)).run(
        None, {"input": inputs.numpy()}
    )

    np.testing.assert_allclose(logits, student(inputs, 2).detach().numpy(), atol=1e-5)


def test_building_a_network_keeps_torchs_generator_state() -> None:
    before = torch.get_rng_state()

    int8_network(TINY_FAMILY, (2, 2), np.random.default_rng(0))

    assert torch.equal(before, torch.get_rng_state())
