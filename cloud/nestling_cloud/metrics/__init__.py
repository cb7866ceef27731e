"""Figures of a fleet or a device, computed from the store.

`queries` answers, `views` are the answers. Read only; imports `store`.
"""
