"""MMVU (arXiv 2406.10638, formerly MMR): paired positive and leading negative questions on one image."""
