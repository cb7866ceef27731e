import numpy as np
import pytest
import torch

from nestling_cloud.learning.onnx.float_export import alone, export_fp32
from nestling_core.execution.session import open_session
from tests.support.families import CAPACITIES, FAMILIES, make_family


@pytest.mark.parametrize("name", FAMILIES)
@torch.no_grad()
def test_capacity_alone_answers_as_in_the_nest(name: str) -> None:
    family = make_family(name)

    for capacity in CAPACITIES:
        found = alone(family.student, family.signature, capacity)(family.tensor, 1)
        assert torch.allclose(found, family.student(family.tensor, capacity), atol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_exported_model_answers_batches_of_any_size_like_the_student(name: str) -> None:
    family, capacity = make_family(name), CAPACITIES[1]
    with torch.no_grad():
        expected = family.student(family.tensor, capacity).numpy()

    session = open_session(export_fp32(family.student, family.signature, capacity))

    for count in (1, len(family.inputs)):
        found = session.run(["logits"], {"input": family.inputs[:count]})[0]
        assert np.allclose(found, expected[:count], atol=1e-5)
