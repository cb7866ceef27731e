from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from nestling_cloud.cloud_model.model import CloudModel, ModelError


def test_model_answers_and_describes_itself(
    tmp_path: Path, tiny_teacher: bytes, tiny_weights: NDArray[np.float32]
) -> None:
    path = tmp_path / "teacher.onnx"
    path.write_bytes(tiny_teacher)
    rows = np.random.default_rng(1).normal(size=(5, 2, 3)).astype(np.float32)

    model = CloudModel("teacher", path)

    assert (model.signature.shape, model.signature.classes) == ((2, 3), 4)
    np.testing.assert_allclose(model.run(rows), rows.reshape(5, 6) @ tiny_weights, rtol=1e-5)


def test_file_that_is_not_a_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "teacher.onnx"
    path.write_bytes(b"no model at all")

    with pytest.raises(ModelError, match="export the model again"):
        CloudModel("teacher", path)


@pytest.mark.parametrize("what", ["fixed batch", "another output name"])
def test_model_with_other_tensors_is_refused(
    tmp_path: Path, tiny_teacher: bytes, what: str
) -> None:
    proto = onnx.load_from_string(tiny_teacher)
    if what == "fixed batch":
        for tensor in (proto.graph.input[0], proto.graph.output[0]):
            tensor.type.tensor_type.shape.dim[0].dim_value = 1
    else:
        proto.graph.output[0].name = proto.graph.node[1].output[0] = "scores"
    path = tmp_path / "teacher.onnx"
    path.write_bytes(proto.SerializeToString())

    with pytest.raises(ModelError, match="needs one float32 tensor"):
        CloudModel("teacher", path)
