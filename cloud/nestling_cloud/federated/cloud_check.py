"""Limits what devices send if clients find that the cloud is worse than they are.

The cloud's teacher does not learn in federated rounds. On a fleet whose inputs have drifted away
from the training data, it may become worse than the devices that learned from them.

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
    """Return what the clients found, or None if no client asked the cloud.

    The cloud counts as worse if the mean of the differences is below zero with a confidence of
    90 %, where each client is one observation (Student's t). The error is taken to be at least that
    of drawing the inputs. With fewer than three clients, the cloud never counts as worse.

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
    """Return a calibration with what the clients found.

    If the cloud is worse, no share of offloads pays with any capacity. The stream filters are then
    dropped too: they were fitted for devices that ask the cloud at the right moment and remember
    its answers. So are the plans for guarantees, which were made with the filters, and the
    cascades: the inputs on which their smaller capacities were good enough are not those of these
    clients.

    Args:
        calibration: the calibration of the bundle that is released.
        found: what the clients found, or None.
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
