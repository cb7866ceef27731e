"""Defines the MQTT topics for telemetry and for the delivery of bundles.

Telemetry uses the topics of Sparkplug B. Delivery uses two topics for each device, one for requests
and one for responses.
"""

import re

GROUP_ID = "nestling"
HOST_ID = "nestling-cloud"
HOST_STATE = f"spBv1.0/STATE/{HOST_ID}"
DELIVERY_REQUESTS = "nestling/v1/+/delivery/request"

DEVICE_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)


def check_device_id(device_id: str) -> str:
    """Return `device_id` if it is safe to use in a topic and in a file path.

    Raises:
        ValueError: the name is empty or too long, has characters other than letters, digits and
            `._-`, or does not start with a letter or digit.
    """
    if not _DEVICE_ID.fullmatch(device_id):
        raise ValueError(
            f"device id {device_id!r}: use 1 to 64 letters, digits, dots, dashes or underscores, "
            "starting with a letter or digit"
        )
    return device_id


def sparkplug(message_type: str, device_id: str) -> str:
    """Return the Sparkplug topic for one type of message to or from an edge node (a device).

    Args:
        message_type: the Sparkplug message type: NBIRTH, NDATA, NDEATH or NCMD.
        device_id: the name of the edge node, or `+` to subscribe to all of them.
    """
    return f"spBv1.0/{GROUP_ID}/{message_type}/{device_id}"


def delivery_request(device_id: str) -> str:
    """Return the topic on which a device requests its bundle and blobs."""
    return f"nestling/v1/{device_id}/delivery/request"


def delivery_response(device_id: str) -> str:
    """Return the topic on which the cloud answers a device's delivery requests."""
    return f"nestling/v1/{device_id}/delivery/response"
