"""Downloads and installs bundles.

The package comprises the sources (gRPC, MQTT), the rules that accept or refuse a release, the store
of blobs (the files of bundles), and the installer. It imports `transport` and `storage`.
"""

__all__ = [
    "blob_store",
    "bundle_source",
    "grpc_source",
    "installer",
    "mqtt_source",
    "release_rules",
]
