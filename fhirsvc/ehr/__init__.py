"""A connection to an EHR: its HTTP client, the decision table, and the protocol for writing."""
