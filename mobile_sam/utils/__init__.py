"""Helpers round the model: resizing, automatic masks, ONNX export."""
