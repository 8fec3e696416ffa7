"""What runs networks: OpenVINO, ONNX Runtime or PyTorch, each in a file of its own, behind one interface."""
