"""Required bindings that the models of ``fhir.resources`` state cut short or not at all.

The models list ``Task.status`` as ``draft, requested, received, accepted, +`` because they repeat
the short form of the specification's tables. Each row here is the whole value set, read from the
R4 4.0.1 definitions (``valuesets.json``), with its canonical URL beside it; a test holds that no
binding that ends in ``+`` is left unlisted for a type this project writes.
"""

REQUIRED: dict[tuple[str, str], tuple[str, ...]] = {
    # http://hl7.org/fhir/ValueSet/quantity-comparator
    ("Age", "comparator"): tuple("< <= >= >".split()),
    # http://hl7.org/fhir/ValueSet/audit-event-action
    ("AuditEvent", "action"): tuple("C R U D E".split()),
    # http://hl7.org/fhir/ValueSet/audit-event-outcome
    ("AuditEvent", "outcome"): tuple("0 4 8 12".split()),
    # http://hl7.org/fhir/ValueSet/network-type
    ("AuditEventAgentNetwork", "type"): tuple("1 2 3 4 5".split()),
    # http://terminology.hl7.org/ValueSet/v3-ConfidentialityClassification
    ("Composition", "confidentiality"): tuple("U L M N R V".split()),
    # http://hl7.org/fhir/ValueSet/mimetypes: every code of BCP 13, which no list has
    ("CapabilityStatement", "format"): (),
    ("CapabilityStatement", "patchFormat"): (),
    # http://hl7.org/fhir/ValueSet/quantity-comparator
    ("Count", "comparator"): tuple("< <= >= >".split()),
    # http://hl7.org/fhir/ValueSet/detectedissue-status
    ("DetectedIssue", "status"): tuple("preliminary final entered-in-error mitigated".split()),
    # http://hl7.org/fhir/ValueSet/udi-entry-type
    ("DeviceUdiCarrier", "entryType"): tuple(
        "barcode rfid manual card self-reported unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/device-statement-status
    ("DeviceUseStatement", "status"): tuple(
        "active completed entered-in-error intended stopped on-hold".split()
    ),
    # http://hl7.org/fhir/ValueSet/diagnostic-report-status
    ("DiagnosticReport", "status"): tuple(
        "registered partial preliminary final amended corrected appended cancelled "
        "entered-in-error unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/quantity-comparator
    ("Distance", "comparator"): tuple("< <= >= >".split()),
    # http://hl7.org/fhir/ValueSet/quantity-comparator
    ("Duration", "comparator"): tuple("< <= >= >".split()),
    # http://hl7.org/fhir/ValueSet/encounter-status
    ("Encounter", "status"): tuple(
        "planned arrived triaged in-progress onleave finished cancelled entered-in-error "
        "unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/encounter-status
    ("EncounterStatusHistory", "status"): tuple(
        "planned arrived triaged in-progress onleave finished cancelled entered-in-error "
        "unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/observation-status
    ("Observation", "status"): tuple(
        "registered preliminary final amended corrected cancelled entered-in-error unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/issue-type
    ("OperationOutcomeIssue", "code"): tuple(
        "invalid structure required value invariant security login unknown expired forbidden "
        "suppressed processing not-supported duplicate multiple-matches not-found deleted "
        "too-long code-invalid extension too-costly business-rule conflict transient "
        "lock-error no-store exception timeout incomplete throttled informational".split()
    ),
    # http://hl7.org/fhir/ValueSet/quantity-comparator
    ("Quantity", "comparator"): tuple("< <= >= >".split()),
    # http://hl7.org/fhir/ValueSet/item-type
    ("QuestionnaireItem", "type"): tuple(
        "group display boolean decimal integer date dateTime time string text url choice "
        "open-choice attachment reference quantity".split()
    ),
    # http://hl7.org/fhir/ValueSet/observation-status
    ("RiskAssessment", "status"): tuple(
        "registered preliminary final amended corrected cancelled entered-in-error unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/map-transform
    ("StructureMapGroupRuleTarget", "transform"): tuple(
        "create copy truncate escape cast append translate reference dateOp uuid pointer "
        "evaluate cc c qty id cp".split()
    ),
    # http://hl7.org/fhir/ValueSet/supplyrequest-status
    ("SupplyRequest", "status"): tuple(
        "draft active suspended cancelled completed entered-in-error unknown".split()
    ),
    # http://hl7.org/fhir/ValueSet/task-status
    ("Task", "status"): tuple(
        "draft requested received accepted rejected ready cancelled in-progress on-hold "
        "failed completed entered-in-error".split()
    ),
    # http://hl7.org/fhir/ValueSet/event-timing
    ("TimingRepeat", "when"): tuple(
        "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT "
        "PHS HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV".split()
    ),
}
