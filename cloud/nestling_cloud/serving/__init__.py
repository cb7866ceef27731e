"""gRPC services for devices: inference of offloaded inputs, delivery of bundles, enrolment.

Delivery over MQTT is here too. Imports `bundles`, `fleet`, `store` and `cloud_model`.
"""
