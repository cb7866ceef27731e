"""Connects to the cloud over gRPC and MQTT, and stores the identity that connections require.

`connection_diagnosis` finds out why a connection fails. Of the device's other packages, this one
may import `storage`.
"""

__all__ = ["connection_diagnosis", "grpc_channel", "identity", "mqtt_connection"]
