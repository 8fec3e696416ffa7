"""Weights of Keras models, read without Keras and TensorFlow."""
