"""The messages that cloud and device exchange, and the code that reads and writes them."""

import os

# By default gRPC resolves names itself (c-ares) and never asks libc, which MQTT and everything else
# here asks: a name that comes by mDNS, NSS or LDAP would be known to one half of a device. gRPC
# reads the variable when it makes its first channel or server.
os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
