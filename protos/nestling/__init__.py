"""What cloud and device agree on: the protos, and the little code that belongs beside them."""

import os

# From 1.29 on onnxruntime reports to its maker, and leaves files behind, unless this is set when
# it is first imported; `nestling.session` is where we import it. A user's own setting stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
