"""The front end in a graph computes what it computes in torch, and is stored as a few nodes."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.onnx.compiled_nest import CompiledNest, compile_nest
from nestling_cloud.learning.onnx.front_end import add_log_mel
from nestling_cloud.learning.onnx.graph_builder import GraphBuilder
from nestling_cloud.learning.onnx.torch_export import export_onnx
from nestling_cloud.learning.quantization import quantize
from nestling_core.execution.session import open_session
from nestling_core.student.blocks import SizesError
from nestling_core.student.config import StudentConfig, conv_student
from nestling_core.student.front_end import LogMelLayer, features_of
from nestling_core.student.log_mel import LogMel
from nestling_core.student.network import NestedStudent
from nestling_core.student.sandwich import recalibrate

Floats = NDArray[np.float32]

# Features are natural logarithms, so that this is a part of the power. Both sum the same products
# in another order; where a window has hardly any power in a band, this shows most.
TOLERANCE = 5e-4
SIZES = LogMel(rate_hz=8000, window=256, hop=128, remove_mean=True)
SIGNATURE = Signature(shape=[1, 8000], classes=["a", "b", "c", "d"])


def features_in_onnxruntime(sizes: LogMel, samples: Floats) -> Floats:
    graph = GraphBuilder("features", "none", {"unused": (1,)})
    graph.node("Identity", [add_log_mel(graph, "input", sizes)], "logits")
    made = graph.serialize(Signature(shape=samples.shape[1:], classes=["a", "b"]))
    model = onnx.load_model_from_string(made)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    found: Floats = open_session(model.SerializeToString()).run(None, {"input": samples})[0]
    return found


def sounds(count: int, length: int, seed: int = 0) -> Floats:
    """Make chirps with noise, of levels from 60 dB below full scale to full scale."""
    rng = np.random.default_rng(seed)
    time = np.arange(length) / 8000
    pitch, change = rng.uniform(100, 2000, (2, count, 1))
    noise = rng.uniform(0.001, 0.5, (count, 1))
    clean = np.sin(2 * np.pi * (pitch + change * time / 2) * time)
    clean *= time > rng.uniform(0, 0.5, (count, 1))  # silent before it starts
    loudness = 10 ** rng.uniform(-3, 0, (count, 1))
    heard = loudness * (clean + noise * rng.normal(size=clean.shape))
    samples: Floats = heard.clip(-1, 1)[:, None].astype(np.float32)
    return samples


@settings(max_examples=25, deadline=None)
@given(
    window=st.integers(16, 300),
    hop=st.integers(1, 200),
    mels=st.integers(1, 12),
    more=st.integers(0, 500),
    spectrum=st.sampled_from([0, 320, 512]),
    low_hz=st.floats(0, 300),
    as_channels=st.booleans(),
    remove_mean=st.booleans(),
)
def test_features_of_any_sizes_equal_those_of_torch(  # noqa: PLR0917  as many sizes
    window: int,
    hop: int,
    mels: int,
    more: int,
    spectrum: int,
    low_hz: float,
    as_channels: bool,
    remove_mean: bool,
) -> None:
    try:
        sizes = LogMel(
            rate_hz=8000,
            window=window,
            hop=hop,
            mels=mels,
            spectrum=spectrum,
            low_hz=low_hz,
            bands_as_channels=as_channels,
            remove_mean=remove_mean,
        )
    except SizesError:
        return
    samples = sounds(3, window + more)

    found = features_in_onnxruntime(sizes, samples)

    expected = LogMelLayer(sizes)(torch.from_numpy(samples)).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 10 * TOLERANCE


@pytest.mark.parametrize(
    "samples",
    [
        sounds(50, 8000),
        np.zeros((1, 1, 8000), np.float32),
        np.ones((1, 1, 8000), np.float32),
        np.where(np.arange(8000) % 20 < 10, 1, -1).astype(np.float32)[None, None],
    ],
    ids=["sounds", "silence", "offset", "full scale"],
)
def test_features_of_a_second_equal_those_of_torch(samples: Floats) -> None:
    expected = LogMelLayer(SIZES)(torch.from_numpy(samples)).numpy()

    assert np.abs(features_in_onnxruntime(SIZES, samples) - expected).max() <= TOLERANCE


def test_exported_network_computes_the_features_of_torch() -> None:
    samples = sounds(5, 8000)
    layer = LogMelLayer(SIZES)

    model = export_onnx(
        layer, [torch.zeros(2, 1, 8000)], input_names=["input"], output_names=["logits"]
    )

    found = open_session(model).run(None, {"input": samples})[0]
    assert np.abs(found - layer(torch.from_numpy(samples)).numpy()).max() <= TOLERANCE


def nests(as_channels: bool) -> tuple[CompiledNest, CompiledNest, LogMel]:
    """Return a nest that reads samples, and the same nest without the front end."""
    sizes = dataclasses.replace(SIZES, bands_as_channels=as_channels)
    body = conv_student(channels=(8, 12), strides=(2, 2), fractions=(0.5, 1.0))
    config = dataclasses.replace(body, front_end=sizes)
    torch.manual_seed(0)
    student = NestedStudent(SIGNATURE, config)
    samples = sounds(100, 8000)
    student.normalizer.fit(samples)
    recalibrate(student, torch.from_numpy(samples))
    quantized = quantize(student, samples)
    whole = compile_nest(quantized, SIGNATURE, config)
    inner = Signature(shape=sizes.shape((1, 8000)), classes=SIGNATURE.classes)
    without = dataclasses.replace(quantized, front_end=None)
    return whole, compile_nest(without, inner, body), sizes


@pytest.mark.parametrize("as_channels", [False, True])
def test_nest_answers_samples_as_it_answers_their_features_in_torch(as_channels: bool) -> None:
    whole, behind, sizes = nests(as_channels)
    samples = sounds(1000, 8000, seed=1)

    found = whole.logits(samples)

    expected = behind.logits(features_of(sizes, torch.from_numpy(samples)).numpy())
    assert (found.argmax(2) == expected.argmax(2)).mean() >= 0.999
    assert np.abs(found - expected).max() <= 0.03 * np.ptp(expected)
    assert min(np.bincount(expected[1].argmax(1), minlength=4)) < 1000  # answers differ


def test_front_end_adds_no_weights_and_few_bytes_to_a_template() -> None:
    whole, behind, _ = nests(as_channels=False)

    for ours, without in zip(whole.templates, behind.templates, strict=True):
        assert len(ours) - len(without) < 2600
        inside = onnx.ModelProto.FromString(ours).graph.initializer
        assert max(int(np.prod(v.dims)) for v in inside if not v.external_data) <= 40
    assert whole.rings == behind.rings


def test_front_end_counts_in_the_students_sizes() -> None:
    config = StudentConfig(
        blocks=conv_student(channels=(4,), strides=(1,)).blocks, fractions=(1.0,), front_end=SIZES
    )

    assert config.read_shape((1, 8000)) == (1, 40, 61)
    assert config.narrowed((2,)).front_end == SIZES
    assert config.alone(1).front_end == SIZES
