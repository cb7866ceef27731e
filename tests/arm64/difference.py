"""Compares what two machines' networks said of the same inputs; ends with status 1 if it matters.

usage: difference.py THERE.npz HERE.npz

A student's logits have to be identical: it computes in integers. The networks that route compute
in float32, and each processor sums in an order of its own: their last bits may differ.
"""

import sys

import numpy as np

_LAST_BITS = 8 * float(np.finfo(np.float32).eps)  # relative to the largest value


def main(there: str, here: str) -> int:
    """Print each network's largest difference."""
    status = 0
    with np.load(there) as one, np.load(here) as other:
        assert set(one) == set(other)
        for name in one:
            largest = float(np.abs(one[name] - other[name]).max())
            print(f"          {name:12s} largest difference {largest:.3g}")
            exact = name.startswith("capacity")
            allowed = 0.0 if exact else _LAST_BITS * float(np.abs(other[name]).max())
            if not largest <= allowed:
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
