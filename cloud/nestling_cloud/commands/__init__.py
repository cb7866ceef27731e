"""The sub-commands of `nestling-cloud`: one module each, with an `add_parser`.

May import every other room; only `cli` imports this one.
"""
