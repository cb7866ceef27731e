"""Contains the steps that adapt a student from a labeled domain to a domain without labels.

The package also measures how much accuracy this adaptation recovers. It may import the other
packages of `learning`.
"""

from nestling_cloud.learning.adaptation.comparison import (
    Comparison,
    accuracies,
    compare,
    recovered_share,
)
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
    "pipeline",
    "recovered_share",
    "target_inputs",
]
