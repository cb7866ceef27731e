import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nestling_cloud.learning.onnx.torch_export import export_onnx
from nestling_core.execution.session import open_session


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 3, padding=1)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.dropout(self.norm(self.conv(x))).mean(2) + y
        return seen


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return TwoInputs()


@pytest.fixture(scope="module")
def model(network: nn.Module) -> bytes:
    examples = [torch.zeros(2, 2, 8), torch.zeros(2, 3)]
    return export_onnx(network, examples, input_names=["x", "y"], output_names=["z"])


@pytest.mark.parametrize("count", [1, 2, 7])
def test_exported_network_answers_batches_of_any_size_like_torch(
    network: nn.Module, model: bytes, count: int
) -> None:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, 2, 8, generator=generator)
    y = torch.randn(count, 3, generator=generator)

    found = open_session(model).run(["z"], {"x": x.numpy(), "y": y.numpy()})[0]

    with torch.no_grad():
        expected = network(x, y).numpy()
    assert np.allclose(expected, found, atol=1e-5)


def test_exported_model_is_valid_and_contains_all_weights(model: bytes) -> None:
    parsed = onnx.ModelProto.FromString(model)

    onnx.checker.check_model(parsed, full_check=True)
    assert all(
        value.data_location != onnx.TensorProto.EXTERNAL for value in parsed.graph.initializer
    )
    assert [value.name for value in parsed.graph.input] == ["x", "y"]


def test_exported_model_names_no_file_of_this_machine(model: bytes) -> None:
    assert b"test_torch_export" not in model
    assert b"site-packages" not in model


def test_network_is_exported_in_evaluation_mode(network: nn.Module) -> None:
    network.train()

    export_onnx(
        network,
        [torch.zeros(2, 2, 8), torch.zeros(2, 3)],
        input_names=["x", "y"],
        output_names=["z"],
    )

    assert not network.training
