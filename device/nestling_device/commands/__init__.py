"""The sub-commands of `nestling-device`, a module each with an `add_parser`."""
