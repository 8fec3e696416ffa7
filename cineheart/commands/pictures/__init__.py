"""Commands that draw pictures of cines."""
