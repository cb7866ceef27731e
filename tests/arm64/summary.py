"""Counts a device's answers by route; ends with status 1 unless all are there.

usage: summary.py COUNT < ANSWERS.jsonl
"""

import json
import sys
from collections import Counter


def main(count: int) -> int:
    """Print the counts."""
    answers = [json.loads(line) for line in sys.stdin]
    routes = Counter(answer["route"] for answer in answers)
    counted = ", ".join(f"{number} by {route}" for route, number in sorted(routes.items()))
    print(f"          {len(answers)} of {count} windows answered: {counted}")
    return int(len(answers) != count)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
