"""Where a judge's weights come from, the two layouts they lie in, and the way between them."""
