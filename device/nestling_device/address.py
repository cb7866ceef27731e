"""HOST:PORT, as people and clouds write it."""


def split_address(text: str) -> tuple[str, int]:
    """Take an address apart.

    Raises:
        ValueError: it is something else.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not HOST:PORT, for example 127.0.0.1:8500")
    return host.strip("[]"), int(port)
