"""What cloud, device and simulator must do alike.

The nest's layout, the rules that both sides apply, ONNX sessions, and what reads untrusted data,
addresses and command lines. Imports the messages in `nestling` and nothing of cloud, device or
simulator; only `nestling_core.student` needs torch.
"""

import os

# From 1.29 on onnxruntime reports to its maker, and leaves files behind, unless this is set when
# it is first imported; `nestling_core.execution.session` is where we import it. A user's own
# setting stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
