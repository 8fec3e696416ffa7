"""``cineheart mice``: data, evaluation and pictures of small animals."""
