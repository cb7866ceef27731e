"""MQTT topics: Sparkplug B's for telemetry, and a request and a response topic for delivery."""

import re

GROUP_ID = "nestling"
HOST_ID = "nestling-cloud"
HOST_STATE = f"spBv1.0/STATE/{HOST_ID}"
DELIVERY_REQUESTS = "nestling/v1/+/delivery/request"

DEVICE_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_DEVICE_ID = re.compile(DEVICE_ID_PATTERN)


def check_device_id(device_id: str) -> str:
    """Return `device_id` if it may stand in a topic and in a path.

    Raises:
        ValueError: it is empty, too long, or has other characters than letters, digits and `._-`.
    """
    if not _DEVICE_ID.fullmatch(device_id):
        raise ValueError(
            f"device id {device_id!r}: use 1 to 64 letters, digits, dots, dashes or underscores, "
            "starting with a letter or digit"
        )
    return device_id


def sparkplug(message_type: str, device_id: str) -> str:
    """Topic of NBIRTH, NDATA, NDEATH or NCMD of one edge node; `+` stands for all."""
    return f"spBv1.0/{GROUP_ID}/{message_type}/{device_id}"


def delivery_request(device_id: str) -> str:
    """Topic on which a device asks for its bundle and for blobs."""
    return f"nestling/v1/{device_id}/delivery/request"


def delivery_response(device_id: str) -> str:
    """Topic on which the cloud answers them."""
    return f"nestling/v1/{device_id}/delivery/response"
