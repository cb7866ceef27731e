"""A bundle that would fail on a device or in the cloud is refused before its release."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from nestling.v1.bundle_pb2 import Blob, GoldenInputs, Manifest
from nestling_cloud.bundles.release_check import UnfitBundleError, try_bundle
from nestling_core.nest.bundle_files import blob_of
from tests.support.hand_bundle import calibration, hand_bundle, template_predicting


def check(teacher: bytes, signed: Mapping[int, bytes] | None = None, **replaced: bytes) -> None:
    """Check a hand-made bundle; `signed` replaces templates with signed activations."""
    manifest, blobs = hand_bundle(1, **replaced)
    content = dict(blobs)
    for number, entry in enumerate(manifest.capacities, start=1):
        template = (signed or {}).get(number, content[entry.template.sha256])
        entry.template_int8.CopyFrom(blob_of(template))
        content[blob_of(template).sha256] = template

    def read(blob: Blob) -> bytes:
        return content[blob.sha256]

    try_bundle(manifest, read, teacher)


def test_valid_bundle_passes(tiny_teacher: bytes) -> None:
    check(tiny_teacher)


def golden(change: Callable[[GoldenInputs, Manifest], object]) -> bytes:
    manifest, blobs = hand_bundle()
    changed = GoldenInputs.FromString(blobs[manifest.golden.sha256])
    change(changed, manifest)
    return changed.SerializeToString()


def _others(given: GoldenInputs, _: Manifest) -> None:
    given.logits[2] = (np.frombuffer(given.logits[2], "<f4") + 1).astype("<f4").tobytes()


def _none(given: GoldenInputs, _: Manifest) -> None:
    given.inputs, given.count = b"", 0
    for number in range(len(given.logits)):
        given.logits[number] = b""


def _flat() -> bytes:
    changed = calibration()
    del changed.curves[1].points[1:]
    return changed.SerializeToString()


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"template": b"no model"}, "run capacity 1 with uint8 activations"),
        ({"signed": {2: b"no model"}}, "run capacity 2 with int8 activations"),
        ({"template": template_predicting("Neg", ["predicted"])}, "a probability for each"),
        ({"golden": golden(_others)}, "capacity 3 .* off by 1 "),
        ({"golden": golden(_none)}, "no golden inputs"),
        ({"calibration": _flat()}, "the routing curve of capacity 2"),
        ({"calibration": b"\xff"}, "the calibration cannot be read"),
        ({"teacher": b"no model"}, "cannot load the model hand-teacher"),
    ],
)
def test_bundle_that_would_fail_is_refused(
    faults: dict[str, Any], words: str, tiny_teacher: bytes
) -> None:
    given = {"teacher": tiny_teacher, **faults}

    message = f"release 1 of hand failed its check and was not made.*{words}"
    with pytest.raises(UnfitBundleError, match=message):
        check(**given)
