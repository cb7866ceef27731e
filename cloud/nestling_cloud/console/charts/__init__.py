"""Contains the code that draws charts and pictures of inputs.

Within the console, this package may import only `console.data`.
"""

__all__ = ["echarts", "input_pictures", "plot"]
