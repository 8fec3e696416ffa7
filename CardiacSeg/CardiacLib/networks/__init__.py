"""Networks as MONAI bundles: where they are, how their weights are had, and what runs them."""
