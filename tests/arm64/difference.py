"""Compares what two machines' networks said of the same inputs; ends with status 1 if it matters.

usage: difference.py THERE.npz HERE.npz

Convolutions run in int8 and came out exact. The student's last layer and the networks that route
sum in float32, each processor in its own order: the last bits may differ.
"""

import sys

import numpy as np

_LAST_BITS = 8 * float(np.finfo(np.float32).eps)  # relative to the largest logit


def main(there: str, here: str) -> int:
    """Print each network's largest difference."""
    status = 0
    with np.load(there) as one, np.load(here) as other:
        assert set(one) == set(other)
        for name in one:
            largest = float(np.abs(one[name] - other[name]).max())
            same = np.mean(one[name] == other[name])
            classes = np.mean(one[name].argmax(1) == other[name].argmax(1))
            print(
                f"          {name:12s} largest difference {largest:.3g}, "
                f"{100 * same:.1f} % bit for bit, {100 * classes:.1f} % the same class"
            )
            if classes < 1 or largest > _LAST_BITS * float(np.abs(other[name]).max()):
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
