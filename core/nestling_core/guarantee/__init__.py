"""Certifies, by audits on a device's own inputs, how often the cloud would change a kept answer.

A device tests about twenty thresholds, from cautious to daring. `certification` is the test, with
its evidence and its alarm; `bets`, `audit_blocks` and `near_misses` are parts of it.
`shadow_beliefs` follows what each threshold would have kept. `expectations` estimates which
threshold is certified first, and after how many inputs. `guarantee_state` saves and resumes the
test. Nothing here does I/O or reads a clock. The package imports `belief` and the messages in
`nestling`.
"""

__all__ = [
    "audit_blocks",
    "bets",
    "certification",
    "expectations",
    "guarantee_state",
    "near_misses",
    "shadow_beliefs",
]
