"""MMIE (arXiv 2410.10139): interleaved questions, interleaved answers, a judge. The asking side."""
