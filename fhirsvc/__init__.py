"""fhirsvc: behavioral-health records to FHIR R4 and back, kept in sync with external EHRs."""

__version__ = "0.1.0"
