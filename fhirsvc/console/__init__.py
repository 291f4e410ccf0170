"""Pages for people: what is here, where it went, and why each value is what it is."""
