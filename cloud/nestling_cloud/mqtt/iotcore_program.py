"""The program of an iotcore broker: `python -P iotcore_process.py < CONFIGURATION`.

iotcore is the Rust broker rumqttd in a wheel. It reads its configuration from a file whose name
ends in .toml and from nowhere else, so the configuration exists as a file while it is read. A
SIGTERM that comes meanwhile waits until the file is gone, and a parent that is killed sends
nothing else (parent-death guard.py).
"""

import logging
import signal
import sys
import tempfile

from iotcore.iotcore import IotCoreBroker


def main() -> None:
    """Read the configuration from standard input and serve until SIGTERM."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # It logs three lines for every message, as errors.
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
