"""How a bundle gets onto the device.

Sources (gRPC, MQTT), the rules by which a release is accepted or refused, the blob store, and the
installer. Imports `transport` and `storage`.
"""
