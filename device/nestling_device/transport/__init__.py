"""Connections to the cloud: gRPC, MQTT, the device's identity, and the diagnosis of failures."""
