"""Encodes inputs for transmission to the cloud, and decodes them there.

A wire form is an encoding of one input: float32, float16, integers with a scale per channel, or a
compressed picture. A bundle lists the forms that were measured on its calibration inputs. The
package imports the messages in `nestling`.
"""

__all__ = ["choice", "errors", "forms"]
