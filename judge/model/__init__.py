"""The judge's exact inference: InternVL2-4B in its original layout on native transformers classes."""
