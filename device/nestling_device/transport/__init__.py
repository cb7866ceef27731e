"""Connections to the cloud: gRPC, MQTT, the device's identity, and the diagnosis of failures."""

__all__ = ["connection_diagnosis", "grpc_channel", "identity", "mqtt_connection"]
