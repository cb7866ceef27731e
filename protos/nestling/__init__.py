"""What cloud and device agree on: the protos, and the little code that belongs beside them."""

import os

# From 1.29 on onnxruntime reports to its maker, and leaves files behind, unless this is set when
# it is first imported; `nestling_core.execution.session` is where we import it. A user's own
# setting stands.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# By default gRPC looks names up by itself (c-ares) and never asks libc, which MQTT and everything
# else here asks: a name that comes by mDNS, NSS or LDAP would be known to one half of a device. It
# is read when gRPC makes its first channel or server.
os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
