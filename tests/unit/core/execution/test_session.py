import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling_core.execution.session import SessionError, open_session


@pytest.fixture(scope="module")
def template() -> bytes:
    """ONNX model of input @ (0.5 * weights), with external int8 weights (3, 2)."""
    weights = TensorProto(name="weights", data_type=TensorProto.INT8, dims=(3, 2))
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="elsewhere")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["weights", "scale"], ["real"]),
            helper.make_node("MatMul", ["input", "real"], ["logits"]),
        ],
        "template",
        [value("input", TensorProto.FLOAT, ["N", 3])],
        [value("logits", TensorProto.FLOAT, ["N", 2])],
        [weights, numpy_helper.from_array(np.array(0.5, np.float32), "scale")],
    )
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return model.SerializeToString()


def test_session_computes_with_the_external_weights(template: bytes) -> None:
    weights: NDArray[np.int8] = np.array([[1, 2], [3, 4], [5, 6]], np.int8)
    session = open_session(template, {"weights": weights})

    output = session.run(None, {"input": np.eye(3, dtype=np.float32)})[0]

    assert (output == weights * 0.5).all()


def test_session_outlives_the_arrays_that_it_was_made_from(template: bytes) -> None:
    session = open_session(template, {"weights": np.full((3, 2), 2, np.int8)})
    # These reuse the memory that the array may have freed.
    others = [np.full((3, 2), 99, np.int8) for _ in range(100)]

    output = session.run(None, {"input": np.ones((1, 3), np.float32)})[0]

    assert output.tolist() == [[3.0, 3.0]]
    assert len(others) == 100


@pytest.mark.parametrize(
    "weights", [np.zeros((2, 2), np.int8), np.zeros((3, 2), np.uint8)], ids=["shape", "type"]
)
def test_weights_of_another_shape_or_type_are_refused(
    template: bytes, weights: NDArray[np.int8]
) -> None:
    with pytest.raises(SessionError):
        open_session(template, {"weights": weights})


def test_template_without_its_weights_is_refused(template: bytes) -> None:
    with pytest.raises(SessionError):
        open_session(template)


@pytest.mark.parametrize("model", [b"", b"no model at all", bytes(1000)])
def test_bytes_that_are_not_a_model_are_refused(model: bytes) -> None:
    with pytest.raises(SessionError):
        open_session(model)


def test_open_session_disables_onnxruntime_telemetry_and_leaves_no_file(
    template: bytes, tmp_path: Path
) -> None:
    program = (
        "import sys, numpy; from nestling_core.execution.session import open_session; "
        "weights = {'weights': numpy.zeros((3, 2), numpy.int8)}; "
        "open_session(sys.stdin.buffer.read(), weights); "
        "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    unset = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        input=template,
        env={**unset, "TMPDIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )

    assert done.stdout.strip() == b"1"
    assert list(tmp_path.iterdir()) == []


def test_only_the_session_module_imports_onnxruntime() -> None:
    root = Path(__file__).parents[4]
    importing = {
        path.name
        for folder in ("protos", "core", "cloud", "device", "simulation")
        for path in (root / folder).rglob("*.py")
        if re.search(r"^(import|from) onnxruntime", path.read_text(), re.MULTILINE)
    }

    assert importing == {"session.py"}
