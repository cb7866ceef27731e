"""Stops devices from sending inputs if clients find that the cloud is less accurate than devices.

The cloud's teacher does not learn in federated rounds. If the fleet's inputs drift away from the
training data, the teacher may become less accurate than the students, which learn from these
inputs.

All functions are pure.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from nestling.v1.bundle_pb2 import Calibration, ClientAccuracy
from nestling_cloud.federated.update_checks import HeldOutComparison

# One-sided confidence with which the cloud has to be worse, by Student's t over the clients.
_CONFIDENCE = 0.9
_FEWEST_CLIENTS = 3


def client_accuracy(comparisons: Sequence[HeldOutComparison]) -> ClientAccuracy | None:
    """Return the clients' mean accuracies of cloud and device, and whether the cloud is worse.

    The result is None if no client asked the cloud.

    Each client is one observation. The cloud counts as worse if the mean difference between its
    accuracy and the device's is below zero with a confidence of 90 % (one-sided, Student's t). The
    standard error of this mean is never taken to be smaller than the one that follows from the
    number of inputs of each client. With fewer than three clients, the cloud never counts as worse.

    Args:
        comparisons: the clients' comparisons, in which `after` is the accuracy of the bundle that
            is released.
    """
    clients = [one for one in comparisons if one.cloud_asked]
    if not clients:
        return None
    return ClientAccuracy(
        clients=len(clients),
        inputs=sum(one.cloud_asked for one in clients),
        device=float(np.mean([one.after for one in clients])),
        cloud=float(np.mean([one.cloud for one in clients])),
        cloud_is_worse=_is_worse(clients),
    )


def _is_worse(clients: Sequence[HeldOutComparison]) -> bool:
    count = len(clients)
    if count < _FEWEST_CLIENTS:
        return False
    cloud, device, inputs = np.array([(one.cloud, one.after, one.cloud_asked) for one in clients]).T
    gained = cloud - device
    drawn = (cloud * (1 - cloud) + device * (1 - device)) / inputs
    error = np.sqrt(max(gained.var(ddof=1), drawn.mean()) / count)
    return bool(gained.mean() < -stats.t.ppf(_CONFIDENCE, count - 1) * error)


def with_clients(calibration: Calibration, found: ClientAccuracy | None) -> Calibration:
    """Return a copy of a calibration to which the clients' findings are added.

    If the cloud is worse, the useful offload share of every capacity becomes 0, so devices send no
    inputs. These parts of the calibration are then removed:

    - the stream filters, which were fitted for devices that remember the cloud's answers;
    - the plans for guarantees, which were made with the filters;
    - the cascades, because their smaller capacities proved good enough on calibration inputs, from
      which the clients' inputs differ.

    Args:
        calibration: the calibration of the bundle that is released.
        found: the output of `client_accuracy`; None to add nothing.
    """
    made = Calibration()
    made.CopyFrom(calibration)
    if found is None:
        return made
    made.clients.CopyFrom(found)
    if found.cloud_is_worse:
        for curve in made.curves:
            curve.useful_share = 0.0
            curve.ClearField("filter")
            curve.ClearField("guarantee")
        for cascade in made.cascades:
            cascade.Clear()
    return made
