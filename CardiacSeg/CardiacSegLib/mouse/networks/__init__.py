"""The network of the published mouse framework: its layers, a faster form of them, and Keras weights."""
