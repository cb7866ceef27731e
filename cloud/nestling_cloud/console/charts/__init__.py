"""Holds the charts and the pictures of inputs.

Of the console's packages, this one may import only `console.data`.
"""

__all__ = ["echarts", "input_pictures", "plot"]
