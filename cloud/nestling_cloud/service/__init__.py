"""The cloud as one process: `service` starts everything that `config` asks for, and ends it.

The only room that knows all that serves; only `commands` imports it.
"""
