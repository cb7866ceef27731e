"""A hand-made bundle whose multiplexer predicts what the test wrote into the input.

Inputs are (2, 3). The first four of their six numbers are the probabilities that capacity 1, 2, 3
and the cloud are right. At offload share 0.5, an input is escalated if the cloud's gain exceeds
ACCEPT_THRESHOLD; with a cascade, it is gated if the gain exceeds GATE_THRESHOLD. At share 0 no
input is sent, at share 1 every input.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.v1 import bundle_pb2
from nestling_cloud.bundles.repository import Repository
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import MANIFEST_FORMAT, blob_of, bundle_version
from nestling_core.nest.layout import assemble, ring_bytes
from nestling_device.bundle.loaded_bundle import LoadedBundle, load_bundle
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import VerifiedBundle
from nestling_device.delivery.release_rules import needed_blobs
from tests.support.memory_source import MemorySource

SHAPE = (2, 3)
CLASSES = 4
CAPACITIES = 3
MEMORY_BYTES = (1000, 2000, 4000)
MACS = (1_000_000, 2_000_000, 4_000_000)
GATE_THRESHOLD = 0.5
ACCEPT_THRESHOLD = 0.2
CASCADE_THRESHOLD = 0.3
# Quantiles of the predicted probability that the resident capacity is right, for drift.
BELIEVED = (0.2, 0.4, 0.6, 0.8, 1.0)

_INPUTS = 6
_HIDDEN = (2, 4, 8)
_SCALE = numpy_helper.from_array(np.array(0.05, np.float32), "scale")

Blobs = Mapping[str, bytes]


def window(*success: float) -> NDArray[np.float32]:
    """Make an input with given success probabilities of capacity 1, 2, 3 and the cloud."""
    return np.array([*success, 0.5, -0.5], np.float32).reshape(SHAPE)


EASY = window(0.5, 0.5, 0.5, 0.6)
UNSURE = window(0.5, 0.5, 0.5, 0.9)
HARD = window(0.1, 0.1, 0.1, 0.9)


def hand_bundle(release: int = 1, **replaced: bytes) -> tuple[bundle_pb2.Manifest, Blobs]:
    """Make the bundle.

    Args:
        release: number of the release; also the seed of the weights.
        replaced: replacement bytes for `template` (of capacity 1), `calibration` or `golden`,
            or the bytes of a `front_end`, which the bundle otherwise lacks.

    Returns:
        The manifest, and the bytes of its blobs by SHA-256.
    """
    rng = np.random.default_rng(release)
    whole = {
        "first": rng.integers(-128, 128, (_HIDDEN[-1], _INPUTS), np.int8),
        "second": rng.integers(-128, 128, (CLASSES, _HIDDEN[-1]), np.int8),
    }
    layout = [
        _nested("first", [(hidden, _INPUTS) for hidden in _HIDDEN]),
        _nested("second", [(CLASSES, hidden) for hidden in _HIDDEN]),
    ]
    rings = [ring_bytes(layout, whole, capacity) for capacity in range(1, CAPACITIES + 1)]
    templates = [_template(hidden) for hidden in _HIDDEN]
    golden = _golden(layout, rings, templates).SerializeToString()
    templates[0] = replaced.pop("template", templates[0])
    shared = {
        "calibration": calibration().SerializeToString(),
        "golden": golden,
        **replaced,
    }
    named = {name: blob_of(data) for name, data in shared.items()}
    manifest = bundle_pb2.Manifest(
        format=MANIFEST_FORMAT,
        task="hand",
        release=release,
        keep_inputs="hard",
        signature=bundle_pb2.Signature(shape=SHAPE, classes=["a", "b", "c", "d"]),
        tensors=layout,
        capacities=[
            bundle_pb2.Capacity(
                template=blob_of(template), ring=blob_of(ring), macs=macs, memory_bytes=needed
            )
            for template, ring, macs, needed in zip(
                templates, rings, MACS, MEMORY_BYTES, strict=True
            )
        ],
        cloud=bundle_pb2.CloudModel(name="hand-teacher", wire_forms=WIRE_FORMS),
        calibration=named["calibration"],
        golden=named["golden"],
        front_end=named.get("front_end"),
    )
    return manifest, {blob_of(data).sha256: data for data in [*rings, *templates, *shared.values()]}


# The second one loses too much accuracy to be used.
WIRE_FORMS = (
    bundle_pb2.WireForm(name="fp32", payload_bytes=24, accuracy=0.9),
    bundle_pb2.WireForm(name="fp16", payload_bytes=12, accuracy=0.8, changed=0.1, lost=0.09),
)


def calibration() -> bundle_pb2.Calibration:
    """Make a calibration with the same three-point curve for every capacity."""
    thresholds = (
        (0.0, 2.0, 2.0, 0.6),
        (0.5, GATE_THRESHOLD, ACCEPT_THRESHOLD, 0.7),
        (1.0, -2.0, -2.0, 0.9),
    )
    points = [
        bundle_pb2.OperatingPoint(
            offload_share=share, gate_threshold=gate, accept_threshold=accept, accuracy=accuracy
        )
        for share, gate, accept, accuracy in thresholds
    ]
    return bundle_pb2.Calibration(
        curves=[
            bundle_pb2.RoutingCurve(points=points, believed=BELIEVED) for _ in range(CAPACITIES)
        ]
    )


def filtered(parameters: bundle_pb2.StreamFilter, **fields: float) -> bytes:
    """Make a serialized calibration whose curves have a stream filter.

    Args:
        parameters: parameters of the filter.
        fields: further fields of the curves, such as `useful_share`.
    """
    made = calibration()
    for curve in made.curves:
        curve.filter.CopyFrom(parameters)
        for name, value in fields.items():
            setattr(curve, name, value)
    return made.SerializeToString()


def larger_runs() -> bytes:
    """Make a serialized calibration with a cascade from capacity 1 to capacity 3."""
    made = calibration()
    for _ in range(CAPACITIES):
        made.cascades.add()
    made.cascades[2].start, made.cascades[2].threshold = 1, CASCADE_THRESHOLD
    made.cascades[2].curve.CopyFrom(made.curves[2])
    for point in made.cascades[2].curve.points:
        point.accept_threshold += 0.1  # differs from the curve of capacity 3 alone
    return made.SerializeToString()


def load_hand_bundle(
    folder: Path, *, held: int = CAPACITIES, bundle: tuple[bundle_pb2.Manifest, Blobs] | None = None
) -> LoadedBundle:
    """Write a bundle to the disk and load it.

    Args:
        folder: folder for the blobs.
        held: largest capacity to write.
        bundle: manifest and blobs; None for `hand_bundle()`.
    """
    manifest, blobs = bundle or hand_bundle()
    source, store = MemorySource(), BlobStore(folder)
    desired = source.release(manifest, dict(blobs))
    for blob in needed_blobs(manifest, held, "uint8"):
        store.download(source, blob)
    installed = VerifiedBundle(
        manifest=manifest,
        version=bundle_version(manifest, desired.manifest),
        capacity=held,
        activations="uint8",
    )
    return load_bundle(installed, store)


def hand_repository(folder: Path, teacher: bytes) -> None:
    """Create a repository with release 1 of the bundle.

    Args:
        folder: folder of the repository.
        teacher: ONNX bytes of a cloud model with the bundle's inputs and classes.
    """
    repository = Repository(folder)
    hand_release(repository, release=1, teacher=teacher)


def hand_release(repository: Repository, *, release: int, teacher: bytes = b"teacher") -> str:
    """Release the bundle, with different weights for each number, and return its version."""
    manifest, blobs = hand_bundle(release)
    manifest.cloud.onnx.CopyFrom(repository.add_model(teacher))
    for data in blobs.values():
        repository.add(data)
    return repository.release(manifest).bundle_version


def _nested(name: str, shapes: list[tuple[int, int]]) -> bundle_pb2.NestedTensor:
    prefixes = [bundle_pb2.Prefix(shape=shape) for shape in shapes]
    return bundle_pb2.NestedTensor(name=name, prefixes=prefixes)


def _template(hidden: int) -> bytes:
    return template_predicting("Clip", ["predicted", "zero", "one"], hidden=hidden)


def template_predicting(
    kind: str, inputs: list[str], *, options: int = CAPACITIES + 1, hidden: int = _HIDDEN[0]
) -> bytes:
    """Make the ONNX graph of a capacity, from "input" to "logits" and "right".

    Args:
        kind: operator of the node that computes "right".
        inputs: inputs of that node: "flat" is the flattened input, "predicted" its first `options`
            numbers.
        options: number of probabilities.
        hidden: width of the capacity.
    """
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("DequantizeLinear", ["first", "scale"], ["w1"]),
        helper.make_node("Gemm", ["flat", "w1"], ["sum"], transB=1),
        helper.make_node("Relu", ["sum"], ["hidden"]),
        helper.make_node("DequantizeLinear", ["second", "scale"], ["w2"]),
        helper.make_node("Gemm", ["hidden", "w2"], ["logits"], transB=1),
        helper.make_node("Slice", ["flat", "from", "to", "axis"], ["predicted"]),
        helper.make_node(kind, inputs, ["right"]),
    ]
    numbers = {"from": [0], "to": [options], "axis": [1]}
    reals = {"zero": 0, "one": 1}
    constants = [
        _SCALE,
        _external("first", (hidden, _INPUTS)),
        _external("second", (CLASSES, hidden)),
        *(numpy_helper.from_array(np.array(value), name) for name, value in numbers.items()),
        *(
            numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in reals.items()
        ),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "hand",
        [value("input", TensorProto.FLOAT, ["n", *SHAPE])],
        [
            value("logits", TensorProto.FLOAT, ["n", CLASSES]),
            value("right", TensorProto.FLOAT, ["n", options]),
        ],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _golden(
    layout: list[bundle_pb2.NestedTensor], rings: list[bytes], templates: list[bytes]
) -> bundle_pb2.GoldenInputs:
    inputs = np.stack([EASY, UNSURE, HARD])
    golden = bundle_pb2.GoldenInputs(
        inputs=inputs.astype("<f4").tobytes(), count=len(inputs), tolerance=1e-3
    )
    for capacity, template in enumerate(templates, start=1):
        session = open_session(template, assemble(layout, rings[:capacity]))
        golden.logits.append(session.run(["logits"], {"input": inputs})[0].astype("<f4").tobytes())
    return golden


def _external(name: str, shape: tuple[int, int]) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.INT8, dims=shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    return tensor
