"""Chooses the teacher of tasks that do not name one."""

from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.models.anomaly_teacher import AnomalyTeacher
from nestling_cloud.models.teacher import ConvTeacher
from nestling_core.kinds.anomaly import Anomaly
from nestling_core.kinds.of_signature import kind_of


def default_teacher(signature: Signature) -> nn.Module:
    """Return an untrained teacher that fits a signature.

    It is an autoencoder in an anomaly task, and a residual convolutional network in all others.

    Args:
        signature: the input shape and the kind of the task.
    """
    if isinstance(kind_of(signature), Anomaly):
        return AnomalyTeacher(signature)
    return ConvTeacher(signature)
