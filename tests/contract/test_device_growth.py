"""A device fetches a larger capacity after the cloud has published another release."""

from pathlib import Path

from nestling_cloud.bundles.repository import Repository
from nestling_cloud.mqtt.broker_process import start_broker
from nestling_core.network.address import Address
from nestling_device.runtime.device import Device
from nestling_device.runtime.device_config import DeviceConfig
from tests.support.agent_rig import METER, budget
from tests.support.background import background, delivery
from tests.support.hand_bundle import EASY, MEMORY_BYTES, hand_release


def test_release_fetched_by_growing_takes_effect_between_two_inputs(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    first = hand_release(repository, release=1)
    with (
        start_broker() as broker,
        background(lambda: delivery(repository, broker)) as port,
        Device(
            DeviceConfig(
                device_id="pi-1",
                profile="pi-4b",
                state_dir=tmp_path / "state",
                cloud=Address(host="127.0.0.1", port=port),
                broker=Address(host=broker.host, port=broker.port),
                activations="uint8",
            ),
            METER,
            MEMORY_BYTES[0],
        ) as device,
    ):
        second = hand_release(repository, release=2)
        more = budget(memory_bytes=MEMORY_BYTES[2], offload_share=0)
        receipts = [device.answer(number, EASY, more) for number in range(3)]

    assert first != second
    assert [receipt.bundle_version for receipt in receipts] == [first, second, second]
    assert [receipt.resident_capacity for receipt in receipts] == [1, 3, 3]
