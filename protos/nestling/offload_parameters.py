"""Names of what an offloaded input carries besides its values; a stranger's server ignores them."""

DEVICE_ID = "device_id"
# Position of the input in the device's source.
INPUT_INDEX = "input_index"
# Class index that the student gave, where one ran before.
DEVICE_ANSWER = "device_answer"
