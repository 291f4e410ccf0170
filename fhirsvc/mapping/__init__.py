"""Mapping language: one declarative file per record and resource, proven, then compiled."""
