"""FHIR R4: the one door to fhir.resources, validation, OperationOutcome, instruments."""
