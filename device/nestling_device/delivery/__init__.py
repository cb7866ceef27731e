"""Holds the code that downloads and installs bundles.

It comprises the sources (gRPC, MQTT), the rules that accept or refuse a release, the store of blobs
(the files of bundles), and the installer. The package imports `transport` and `storage`.
"""

__all__ = [
    "blob_store",
    "bundle_source",
    "grpc_source",
    "installer",
    "mqtt_source",
    "release_rules",
]
