"""Defines the names of the request parameters that a device adds to an offload.

Other servers of the Open Inference Protocol ignore these parameters.
"""

DEVICE_ID = "device_id"
# Position of the input in the device's source.
INPUT_INDEX = "input_index"
# Class index that the student answered, if one ran before the offload.
DEVICE_ANSWER = "device_answer"
