"""Connections to the cloud: gRPC, MQTT, the identity they show, and why one cannot be made."""
