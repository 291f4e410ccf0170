"""House words that several record types choose from."""

from __future__ import annotations

RELATIONSHIPS = (
    "parent",
    "mother",
    "father",
    "spouse",
    "partner",
    "sibling",
    "child",
    "grandparent",
    "extended_family",
    "guardian",
    "friend",
    "sponsor",
    "caregiver",
    "other",
)
LEVELS_OF_CARE = (
    "outpatient",
    "intensive_outpatient",
    "partial_hospitalization",
    "residential",
    "inpatient",
    "withdrawal_management",
    "opioid_treatment",
    "recovery_support",
)
HOUSING = (
    "stable_own",
    "stable_rented",
    "with_family_or_friends",
    "sober_living",
    "supported_housing",
    "temporary",
    "unstable",
    "shelter",
    "homeless",
    "institution",
    "unknown",
)
EMPLOYMENT = (
    "full_time",
    "part_time",
    "self_employed",
    "on_leave",
    "unemployed_seeking",
    "unemployed_not_seeking",
    "student",
    "homemaker",
    "retired",
    "disabled",
    "unknown",
)
EDUCATION = (
    "less_than_high_school",
    "high_school_or_ged",
    "some_college",
    "vocational",
    "associate",
    "bachelor",
    "graduate",
    "unknown",
)
LEGAL = ("none", "pending_charges", "probation", "parole", "drug_court", "civil_matter", "unknown")
