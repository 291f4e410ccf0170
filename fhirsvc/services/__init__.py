"""The only code that joins mapping, store and EHR: accept a record, deliver it, keep it going."""
