"""The sub-commands of `nestling-cloud`, a module each with an `add_parser`."""
