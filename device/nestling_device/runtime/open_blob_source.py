"""Opens the source from which a device downloads bundles."""

from nestling_device.delivery.bundle_source import BlobSource
from nestling_device.delivery.grpc_source import GrpcSource
from nestling_device.delivery.mqtt_source import MqttSource
from nestling_device.runtime.device_config import DeviceConfig


def open_blob_source(config: DeviceConfig) -> BlobSource:
    """Return the source for the configured transport.

    Args:
        config: the settings of the device, which name the transport and the addresses.
    """
    if config.delivery == "mqtt":
        return MqttSource(config.broker, config.device_id, identity=config.identity)
    return GrpcSource(config.cloud, config.device_id, identity=config.identity)
