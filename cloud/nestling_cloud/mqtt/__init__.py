"""The MQTT broker as a child process, and the client that reconnects to it.

Imports `fleet` for certificates and access rules.
"""
