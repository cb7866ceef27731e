import pytest

from nestling import topics


@pytest.mark.parametrize("device_id", ["a", "pi-4b-2", "Pi_5.kitchen", "0" * 64])
def test_plain_device_id_is_accepted(device_id: str) -> None:
    assert device_id == topics.check_device_id(device_id)


@pytest.mark.parametrize(
    "device_id", ["", "-pi", ".", "..", "a/b", "a+", "#", "a b", "pi\n", "ä", "a" * 65, "a\0"]
)
def test_device_id_that_is_unsafe_in_a_topic_or_path_is_refused(device_id: str) -> None:
    with pytest.raises(ValueError, match="use 1 to 64 letters"):
        topics.check_device_id(device_id)


def test_sparkplug_topics_follow_the_standard() -> None:
    assert topics.sparkplug("NBIRTH", "pi-5-1") == "spBv1.0/nestling/NBIRTH/pi-5-1"
    assert topics.HOST_STATE == "spBv1.0/STATE/nestling-cloud"


def test_cloud_subscription_matches_every_delivery_request() -> None:
    assert topics.delivery_request("+") == topics.DELIVERY_REQUESTS
    assert topics.delivery_request("pi-5-1") != topics.delivery_response("pi-5-1")
