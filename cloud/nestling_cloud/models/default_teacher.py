"""Chooses the teacher of tasks that do not name one."""

from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.anomaly_teacher import AnomalyTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.of_signature import kind_of
from nestling_core.student.log_mel import LogMel


def default_teacher(signature: Signature, front_end: LogMel | None = None) -> nn.Module:
    """Return an untrained teacher that fits a signature.

    It is an autoencoder in an anomaly task, and a residual convolutional network in all others.

    Args:
        signature: the input shape and the kind of the task.
        front_end: what turns sounds into the features that the teacher reads; None if it reads the
            input itself.
    """
    if isinstance(kind_of(signature), Anomaly):
        return AnomalyTeacher(signature, front_end=front_end)
    return ConvTeacher(signature, front_end=front_end)
