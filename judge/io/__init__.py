"""Every file format that is read or written, and the one way files are written."""
