"""Runs an iotcore broker: `python -P iotcore_program.py < CONFIGURATION`.

iotcore is the Rust broker rumqttd in a wheel. It reads its configuration only from a file whose
name ends in .toml, so the configuration exists as a file while it is read. SIGTERM is blocked until
the file is deleted; it is also the signal that arrives when the parent is killed
(parent_death.py).
"""

import logging
import signal
import sys
import tempfile

from iotcore.iotcore import IotCoreBroker


def main() -> None:
    """Read the configuration from standard input and serve until SIGTERM."""
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
