"""The teacher as an ONNX model that is ready to serve.

Loading it, its input and output, and the check that it answers an input alone as it does in a
batch. Training, releasing and serving share this room; it imports none of them.
"""
