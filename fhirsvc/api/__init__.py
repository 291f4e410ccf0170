"""HTTP for machines: records in and out, health, metrics, and the one error handler."""
