"""Code shared by cloud, device and simulator.

The package holds the nest's layout, the routing rules that both sides apply, ONNX sessions, and
the parsers of untrusted data, addresses and command lines. It imports the messages in `nestling`
and nothing from cloud, device or simulator. Only `nestling_core.student` needs torch.
"""

import os

# Since 1.29, onnxruntime sends usage data to its vendor and leaves files behind unless this
# variable is set before its first import, which is in `nestling_core.execution.session`. A value
# that the user has set is kept.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
