"""From a labelled domain to one that nobody has labelled, and what that recovers."""

from nestling_cloud.learning.adaptation.comparison import Comparison, accuracies, compare, recovered
from nestling_cloud.learning.adaptation.cross_domain import AdaptationConfig, AdaptedNetworks, adapt
from nestling_cloud.learning.adaptation.sensor_frame import (
    Frame,
    FrameChoice,
    FramedTeacher,
    choose_frame,
    inertial_frames,
)
from nestling_cloud.learning.adaptation.target_inputs import AdaptationError

__all__ = [
    "AdaptationConfig",
    "AdaptationError",
    "AdaptedNetworks",
    "Comparison",
    "Frame",
    "FrameChoice",
    "FramedTeacher",
    "accuracies",
    "adapt",
    "choose_frame",
    "compare",
    "inertial_frames",
    "recovered",
]
