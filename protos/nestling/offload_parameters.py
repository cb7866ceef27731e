"""Names of the request parameters of an offload; other servers of the protocol ignore them."""

DEVICE_ID = "device_id"
# Position of the input in the device's source.
INPUT_INDEX = "input_index"
# Class index that the student answered, if one ran before the offload.
DEVICE_ANSWER = "device_answer"
