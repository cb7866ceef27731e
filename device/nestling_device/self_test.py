"""An installation's last check: does a bundle do on this device what it promises?"""

import numpy as np

from nestling.bundle import Activations
from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_device.calibration import read_calibration
from nestling_device.delivery.blobs import BlobStore
from nestling_device.delivery.installer import SelfTestError
from nestling_device.delivery.source import DeliveryError
from nestling_device.multiplexer import are_probabilities
from nestling_device.nest import Nest, golden_inputs


def self_test(
    manifest: Manifest, capacity: int, blobs: BlobStore, activations: Activations
) -> None:
    """Try everything of a bundle that an agent will use.

    Args:
        manifest: of the bundle.
        capacity: capacities 1 to this are on the disk.
        blobs: where.
        activations: of the templates there.

    Raises:
        SelfTestError: logits other than the bundle's, or a part that does not load or run.
        DeliveryError: a blob is missing or damaged, or the calibration has holes.
    """
    try:
        nest = Nest(manifest, blobs, activations)
        _answer_golden_inputs(nest, manifest, capacity, blobs)
        read_calibration(manifest, blobs)
    except DeliveryError:
        raise
    # Whatever a bundle makes go wrong here would go wrong at every start after the switch;
    # onnxruntime alone has a dozen classes without a base of their own.
    except Exception as err:
        raise SelfTestError(f"the bundle does not run: {err}; release it again") from err


def _answer_golden_inputs(nest: Nest, manifest: Manifest, capacity: int, blobs: BlobStore) -> None:
    golden = GoldenInputs.FromString(blobs.read(manifest.golden))
    inputs = golden_inputs(manifest, golden)
    for number in range(1, capacity + 1):
        nest.load(number)
        logits, right = nest.run(inputs)
        if logits.shape != (golden.count, len(manifest.signature.classes)):
            raise SelfTestError(
                f"capacity {number} answers {golden.count} inputs with logits {logits.shape}; the "
                f"bundle names {len(manifest.signature.classes)} classes"
            )
        wanted = np.frombuffer(golden.logits[number - 1], "<f4")
        difference = float(np.abs(logits - wanted.reshape(logits.shape)).max())
        if not difference <= golden.tolerance:
            raise SelfTestError(
                f"capacity {number} answers the golden inputs with logits off by {difference:.3g} "
                f"(allowed {golden.tolerance:.3g}); this processor computes it differently"
            )
        if not are_probabilities(right, len(manifest.capacities)):
            raise SelfTestError(
                f"what capacity {number} says of the options is no probability for each"
            )
