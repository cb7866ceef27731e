"""Runs an iotcore broker.

Start it with `python -P iotcore_program.py < CONFIGURATION`. iotcore is the Rust broker rumqttd in
a Python package. iotcore reads its configuration only from a file whose name ends in .toml, so the
configuration is written to a temporary file. SIGTERM is blocked until that file is deleted, because
it may arrive at any time when the parent process is killed (see `parent_death.py`).
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
