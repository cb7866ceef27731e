"""Contains the messages that the cloud and the devices exchange, with their names and topics.

Importing the package makes gRPC look up names through libc, unless the user has chosen another
resolver.
"""

import os

# By default gRPC resolves names itself (c-ares) and bypasses libc, which MQTT and everything else
# here uses. A name from mDNS, NSS or LDAP would then work over MQTT but not over gRPC. gRPC reads
# the variable when it creates its first channel or server.
os.environ.setdefault("GRPC_DNS_RESOLVER", "native")
