"""Every file format that is read or written, the one way files are written, and the one way progress is shown."""
