"""PURE. The aftercare handoff: an R4 document Bundle, and the page that people read of it."""
