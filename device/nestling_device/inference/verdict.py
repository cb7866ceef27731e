"""Finds out which answers to an audited input the cloud would have changed."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import RoutingCurve
from nestling_core.belief.evidence import softmax
from nestling_core.guarantee import shadow_beliefs
from nestling_core.guarantee.audit_blocks import Verdict
from nestling_core.guarantee.shadow_beliefs import Judged
from nestling_core.kinds.kind import Answer, Kind, agree, answer_of
from nestling_device.inference.outcome import AuditOfThresholds


def verdict_on(
    audit: AuditOfThresholds,
    curve: RoutingCurve,
    kind: Kind,
    answer: Answer,
    outputs: NDArray[np.float32],
) -> Verdict:
    """Return which thresholds keep their answer, and which answers the cloud would have changed.

    Args:
        audit: what each threshold does with the input.
        curve: the routing curve of the capacities that were loaded.
        kind: the kind of the task.
        answer: the device's own answer.
        outputs: the outputs of the cloud's model, (O,).
    """
    shadows = audit.shadows
    if shadows is None or not curve.HasField("filter"):
        changed = not agree(kind, answer, answer_of(kind, outputs))
        return Verdict(kept=audit.kept, changed=np.full(len(audit.kept), changed))
    judged = Judged(shadows.answers, audit.kept)
    return shadow_beliefs.verdict_of(curve.filter, shadows.sure, judged, softmax(outputs))
