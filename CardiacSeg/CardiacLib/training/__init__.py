"""Training tools shared by all networks: augmentation on the batch, and the training loop."""
