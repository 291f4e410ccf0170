"""One module per revision, oldest first; each only adds to what the one before left."""
