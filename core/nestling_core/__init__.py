"""Holds the code that cloud, device and simulator share.

This code includes the layout of the nest (the student's int8 weights, cut into rings), the routing
rules that cloud and device apply, ONNX sessions, the student as a torch network, and the parsers of
untrusted data, addresses and command lines. The package imports the messages in `nestling` and
nothing from cloud, device or simulator. Only `nestling_core.student` needs torch. Importing the
package disables onnxruntime's telemetry, unless the user has set `ORT_DISABLE_TELEMETRY`.
"""

import os

# Since 1.29, onnxruntime sends usage data to its vendor and leaves files behind unless this
# variable is set before its first import, which is in `nestling_core.execution.session`. A value
# that the user has set is kept.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
