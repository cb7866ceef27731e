"""Contains the code shared by the cloud, the devices and the simulator.

This code includes the layout of the nest (the student's int8 weights, cut into rings), the routing
rules, ONNX sessions, the student as a torch network, and parsers for untrusted data, addresses and
command lines. The package imports the messages in `nestling`, but nothing from the cloud, the
device or the simulator. Only `nestling_core.student` needs torch. Importing the package disables
onnxruntime's telemetry, unless the user has set `ORT_DISABLE_TELEMETRY`.
"""

import os

# Since 1.29, onnxruntime sends usage data to its vendor and leaves files behind unless this
# variable is set before its first import, which is in `nestling_core.execution.session`. A value
# that the user has set is kept.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
