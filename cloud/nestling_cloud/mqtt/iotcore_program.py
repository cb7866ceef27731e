"""Runs an iotcore broker.

Run this program with `python -P iotcore_program.py < CONFIGURATION`. iotcore is a Python package of
the Rust broker rumqttd. iotcore reads its configuration only from a file whose name ends in .toml,
so the configuration is written to a temporary file. SIGTERM, which is sent when the parent process
ends (see `parent_death.py`), is blocked until this file is deleted.
"""

import logging
import signal
import sys
import tempfile

from iotcore.iotcore import IotCoreBroker


def main() -> None:
    """Read the configuration from standard input, and run the broker until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # rumqttd logs three error lines for every message.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    broker = _configured(sys.stdin.buffer.read())
    try:
        broker.run_forever()
    except OSError as err:
        sys.exit(str(err))


def _configured(text: bytes) -> IotCoreBroker:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with tempfile.NamedTemporaryFile(suffix=".toml") as file:
            file.write(text)
            file.flush()
            return IotCoreBroker(config_path=file.name)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


if __name__ == "__main__":
    main()
