"""Every rule of the gate: a case that sends and one that holds, called after its paragraph."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from gate import COLLEGE, JUNIPER, STAFF, WILLOW, ask, consent, goal, holds, sends, tpo

from fhirsvc.consent import Recipient
from fhirsvc.consent.information import COUNSELING_NOTES
from fhirsvc.consent.rules import RULES
from fhirsvc.mapping.sensitive import Marked

# ---- the request as a whole -------------------------------------------------------------------


def _organization(*labels: str) -> Marked:
    marks = {"Organization": frozenset(labels)} if labels else {}
    return Marked({"resourceType": "Organization", "id": "o", "name": "N"}, marks)


def test_42_cfr_2_12_a_1_no_patient__an_organization_sends():
    """A program's name identifies no patient by itself."""
    decision = ask(made=[_organization("SUD")], record_type="organization", client_id=None)
    sends(decision)
    assert decision.basis == "no_patient"
    assert not decision.part2


def test_42_cfr_2_12_a_1_no_patient__the_same_about_a_client_holds():
    """With a client it is that client's."""
    decision = ask(made=[_organization("SUD")], record_type="organization")
    holds(decision, "42_cfr_2_13_a_default_deny")


@pytest.mark.parametrize("why", ["treatment", "care_coordination", "operations"])
def test_42_cfr_2_12_c_3_inside_program__staff_of_the_program_sends(why: Any):
    """Who works there sees it without a consent; it is no disclosure, so no notice goes along."""
    decision = ask(who=STAFF, why=why)
    sends(decision)
    assert decision.basis == "inside"
    assert not decision.part2


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (Recipient("staff", "org-lakemont"), "treatment"),
        (Recipient("staff", None), "treatment"),
        (Recipient("ehr", "org-cedar-hollow", is_treating=True), "treatment"),
        (STAFF, "research"),
        (STAFF, "legal"),
    ],
)
def test_42_cfr_2_12_c_3_inside_program__others_and_other_purposes_holds(who: Recipient, why: Any):
    """Another program, a connection in its name, no duty of treatment: all that is outside."""
    holds(ask(who=who, why=why), "42_cfr_2_13_a_default_deny")


# ---- one consent: 42 CFR 2.31(a) --------------------------------------------------------------


def test_42_cfr_2_31_a_1_patient__own_sends():
    """The consent of the client it is about."""
    decision = ask(consent())
    sends(decision)
    assert (decision.basis, decision.consents, decision.part2) == ("consent", ("c-1",), True)


def test_42_cfr_2_31_a_1_patient__another_clients_holds():
    """A consent that has come to the wrong client lets nothing out."""
    holds(ask(consent(client_id="client-02")), "42_cfr_2_31_a_1_patient")


@pytest.mark.parametrize("changes", [{}, {"discloser_id": None, "program_id": "org-cedar-hollow"}])
def test_42_cfr_2_31_a_2_discloser__the_program_sends(changes: dict[str, Any]):
    """Named, or the program that holds the consent."""
    sends(ask(consent(**changes)))


@pytest.mark.parametrize("discloser", ["org-lakemont", None])
def test_42_cfr_2_31_a_2_discloser__another_or_nobody_holds(discloser: str | None):
    """What another program may disclose is not ours to disclose."""
    holds(ask(consent(discloser_id=discloser)), "42_cfr_2_31_a_2_discloser")


def test_42_cfr_2_31_a_3_description__kinds_sends():
    """Kinds are named."""
    sends(ask(consent(information=["goals", "care_plan"])))


@pytest.mark.parametrize("text", ["Everything about my goals", None])
def test_42_cfr_2_31_a_3_description__words_or_nothing_holds(text: str | None):
    """Free words cover nothing until somebody has said which kinds they mean."""
    made = consent(information=None, information_text=text)
    holds(ask(made), "42_cfr_2_31_a_3_description")


@pytest.mark.parametrize(
    "who", [WILLOW, Recipient("partner", "org-willow"), Recipient("export", "org-willow")]
)
def test_42_cfr_2_31_a_4_recipient__named_sends(who: Recipient):
    """By its id, however it asks."""
    sends(ask(consent(), who=who))


def test_42_cfr_2_31_a_4_recipient__other_holds():
    """Whoever is not named does not get it."""
    holds(ask(consent(), who=JUNIPER), "42_cfr_2_31_a_4_recipient")
    holds(ask(consent(), who=Recipient("export", None)), "42_cfr_2_31_a_4_recipient")


def test_42_cfr_2_31_a_4_recipient__class_of_a_tpo_consent_sends():
    """A single consent for treatment, payment and operations names a class, and Juniper treats."""
    sends(ask(tpo(), who=JUNIPER))


def test_42_cfr_2_31_a_4_recipient__words_elsewhere_holds():
    """The class does not include a college, and in another consent words match nobody."""
    holds(ask(tpo(), who=COLLEGE), "42_cfr_2_31_a_4_recipient")
    words = consent(recipient_ids=None, recipients_text="Willow Street Counseling")
    holds(ask(words), "42_cfr_2_31_a_4_recipient")


def test_42_cfr_2_31_a_5_purpose__named_sends():
    """A purpose that it names; of a TPO consent coordination is part of treatment."""
    sends(ask(consent(purposes=["housing"]), why="housing"))
    sends(ask(tpo(), why="care_coordination"))


def test_42_cfr_2_31_a_5_purpose__other_holds():
    """Not for anything else, and a TPO consent not for what is neither of the three."""
    holds(ask(consent(), why="research"), "42_cfr_2_31_a_5_purpose")
    holds(ask(consent(), why="care_coordination"), "42_cfr_2_31_a_5_purpose")
    research = tpo(purposes=["treatment", "research"])
    holds(ask(research, why="research"), "42_cfr_2_31_a_5_purpose")
    holds(ask(consent(purposes=None, purpose_text="To treat me")), "42_cfr_2_31_a_5_purpose")


def test_42_cfr_2_31_a_6_right_to_revoke__explained_sends():
    """The form says that it can be taken back."""
    sends(ask(consent(revocation_right_explained=True)))


@pytest.mark.parametrize("said", [False, None])
def test_42_cfr_2_31_a_6_right_to_revoke__not_explained_holds(said: bool | None):
    """Without that it is deficient."""
    made = consent(revocation_right_explained=said)
    holds(ask(made), "42_cfr_2_31_a_6_right_to_revoke")


def test_42_cfr_2_31_a_6_revoked__in_force_sends():
    """Not taken back."""
    sends(ask(consent(status="active")))


@pytest.mark.parametrize("status", ["revoked", "active"])
def test_42_cfr_2_31_a_6_revoked__taken_back_holds(status: str):
    """By its status, or by a moment that a status does not say yet."""
    made = consent(status=status, revoked_at="2026-03-20T10:00:00-04:00")
    holds(ask(made), "42_cfr_2_31_a_6_revoked")


@pytest.mark.parametrize("last", ["2026-04-01", "2027-01-01"])
def test_42_cfr_2_31_a_7_expiry__until_its_last_day_sends(last: str):
    """The last day counts, in the program's time zone."""
    sends(ask(consent(expires_on=last)))
    late = datetime.fromisoformat("2026-04-01T23:59:59-04:00")
    sends(ask(consent(expires_on=last), when=late))


def test_42_cfr_2_31_a_7_expiry__after_it_or_without_one_holds():
    """A day late, marked as expired, or never to expire."""
    late = datetime.fromisoformat("2026-04-02T00:00:00-04:00")
    rule = "42_cfr_2_31_a_7_expiry"
    holds(ask(consent(expires_on="2026-04-01"), when=late), rule)
    holds(ask(consent(status="expired")), rule)
    holds(ask(consent(expires_on=None)), rule)


def test_42_cfr_2_31_a_7_expiry__an_event_that_has_not_happened_sends():
    """Somebody has confirmed that treatment goes on."""
    made = consent(expires_on=None, expires_event="End of treatment")
    sends(ask(made, event_open=frozenset({"c-1"})))


def test_42_cfr_2_31_a_7_expiry__an_event_nobody_has_looked_at_holds():
    """No date says whether it has happened; the confirmation of another consent says nothing."""
    made = consent(expires_on=None, expires_event="End of treatment")
    holds(ask(made), "42_cfr_2_31_a_7_expiry")
    holds(ask(made, event_open=frozenset({"c-2"})), "42_cfr_2_31_a_7_expiry")


@pytest.mark.parametrize("role", ["client", "guardian"])
def test_42_cfr_2_31_a_8_signature__of_the_client_sends(role: str):
    """The client's, or of who may sign for them."""
    sends(ask(consent(signature={**consent()["signature"], "role": role})))


@pytest.mark.parametrize("role", ["provider", "witness", "supervisor", None])
def test_42_cfr_2_31_a_8_signature__of_others_or_none_holds(role: str | None):
    """A clinician does not sign for the client."""
    signature = {**consent()["signature"], "role": role} if role else None
    holds(ask(consent(signature=signature)), "42_cfr_2_31_a_8_signature")


def test_42_cfr_2_31_a_9_date__signed_before_sends():
    """At the moment itself too."""
    at = "2026-04-01T12:00:00-04:00"
    signature = {**consent()["signature"], "signed_at": at}
    sends(ask(consent(granted_at=at, signature=signature)))


def test_42_cfr_2_31_a_9_date__later_or_undated_holds():
    """The later of both dates decides."""
    rule = "42_cfr_2_31_a_9_date"
    later = {**consent()["signature"], "signed_at": "2026-04-01T12:00:01-04:00"}
    holds(ask(consent(signature=later)), rule)
    undated = {k: v for k, v in later.items() if k != "signed_at"}
    holds(ask(consent(granted_at=None, signature=undated)), rule)


def test_42_cfr_2_31_a_10_redisclosure__explained_sends():
    """A TPO consent that says so; one disclosure to a named recipient needs no such words."""
    sends(ask(tpo(redisclosure_explained=True)))
    sends(ask(consent(redisclosure_explained=None)))


@pytest.mark.parametrize("said", [False, None])
def test_42_cfr_2_31_a_10_redisclosure__not_explained_holds(said: bool | None):
    """A TPO consent without it is deficient."""
    holds(ask(tpo(redisclosure_explained=said)), "42_cfr_2_31_a_10_redisclosure")


def test_42_cfr_2_31_c_in_force__active_from_its_first_day_sends():
    """The first day counts."""
    sends(ask(consent(start_date="2026-04-01")))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "draft"},
        {"status": "error"},
        {"status": "refused"},
        {"status": None},
        {"start_date": "2026-04-02"},
    ],
)
def test_42_cfr_2_31_c_in_force__draft_error_refused_or_early_holds(changes: dict[str, Any]):
    """None of these is a consent now."""
    holds(ask(consent(**changes)), "42_cfr_2_31_c_in_force")


def test_42_cfr_2_31_d_proceedings__own_consent_sends():
    """One for legal proceedings alone, to whom it names."""
    court = Recipient("partner", "org-court")
    made = consent(scope="legal_proceedings", purposes=["legal"], recipient_ids=["org-court"])
    sends(ask(made, who=court, why="legal"))


def test_42_cfr_2_31_d_proceedings__any_other_holds():
    """No other consent is for proceedings, and that one for nothing else."""
    rule = "42_cfr_2_31_d_proceedings"
    holds(ask(consent(purposes=["treatment", "legal"]), why="legal"), rule)
    both = consent(scope="legal_proceedings", purposes=["legal", "treatment"])
    holds(ask(both), rule)


# ---- one element ------------------------------------------------------------------------------


def test_45_cfr_164_508_a_2_psychotherapy_notes__the_rest_sends():
    """Without the notes the goal goes."""
    sends(ask(consent(), made=[goal("SUD")]))


@pytest.mark.parametrize("who", [WILLOW, STAFF])
def test_45_cfr_164_508_a_2_psychotherapy_notes__never_holds(who: Recipient):
    """Whoever asks and whatever a consent names; on an element, the rest goes without it."""
    rule = "45_cfr_164_508_a_2_psychotherapy_notes"
    made = consent(sensitivities=["SUD", "PSYTHPN", "PSY", "MH", "BH"])
    holds(ask(made, made=[goal("PSYTHPN")], who=who), rule)
    decision = ask(made, made=[goal("SUD", **{"note[1]": ["PSYTHPN"]})], who=who)
    assert decision.outcome == "redact"
    assert [n["text"] for n in decision.resources[0]["note"]] == ["first note"]
    holds(ask(made, made=[goal("PSYTHPN")], client_id=None), rule)


def _notes() -> Marked:
    return Marked(
        goal().resource, {"Goal": frozenset({"SUD"})}, {"Goal": frozenset({COUNSELING_NOTES})}
    )


def test_42_cfr_2_31_b_counseling_notes__own_consent_sends():
    """A consent for them alone."""
    made = consent(scope="sud_counseling_notes", information=None)
    sends(ask(made, made=[_notes()]))


@pytest.mark.parametrize("who", [WILLOW, STAFF])
def test_42_cfr_2_31_b_counseling_notes__any_other_holds(who: Recipient):
    """Not by a consent for everything, and that consent covers nothing else."""
    rule = "42_cfr_2_31_b_counseling_notes"
    holds(ask(consent(information=["everything"]), made=[_notes()], who=who), rule)
    own = consent(scope="sud_counseling_notes", information=["everything"])
    holds(ask(own), "42_cfr_2_31_a_3_amount_and_kind")


def test_42_cfr_2_26_left_out__to_others_sends():
    """What is left out for Willow Street goes to Juniper by a consent of its own."""
    willow = consent(information=["everything"], excluded_information=["goals"])
    juniper = consent(id="c-2", recipient_ids=["org-juniper"])
    sends(ask(willow, juniper, who=JUNIPER))
    sends(ask({**willow, "id": "c-3", "client_id": "client-02"}, consent()))


@pytest.mark.parametrize("changes", [{}, {"status": "expired"}, {"expires_on": "2026-03-05"}])
def test_42_cfr_2_26_left_out__for_whom_it_names_holds(changes: dict[str, Any]):
    """Whatever a newer consent says, and after it has ended; also what needs no consent."""
    rule = "42_cfr_2_26_left_out"
    made = consent(information=["everything"], excluded_information=["goals"], **changes)
    newer = consent(id="c-2", granted_at="2026-03-30T12:00:00-04:00")
    holds(ask(made, newer), rule)
    holds(ask(made, made=[goal()]), rule)
    substance = consent(information=["everything"], excluded_information=["substance_use"])
    holds(ask(substance), rule)
    sends(ask(substance, made=[goal()]))


def test_42_cfr_2_31_a_6_refused_since__given_again_sends():
    """A consent given after a refusal wins; so does one that is about something else."""
    refused = consent(
        id="c-0", status="refused", granted_at="2026-02-01T12:00:00-05:00", signature=None
    )
    sends(ask(refused, consent()))
    since = {"granted_at": "2026-03-20T12:00:00-04:00", "signature": None}
    for about in (
        {"recipient_ids": ["org-juniper"]},
        {"purposes": ["research"]},
        {"information": ["care_plan"]},
        {"sensitivities": ["HIV"]},
        {"client_id": "client-02"},
    ):
        sends(ask(consent(id="c-0", status="refused", **{**since, **about}), consent()))


@pytest.mark.parametrize("status", ["refused", "revoked"])
def test_42_cfr_2_31_a_6_refused_since__newer_refusal_holds(status: str):
    """It wins over what was given before, at the same moment, and over what needs no consent."""
    rule = "42_cfr_2_31_a_6_refused_since"
    for at in ("2026-03-20T12:00:00-04:00", "2026-03-04T12:00:00-05:00"):
        said = {"id": "c-0", "status": status, "granted_at": at, "signature": None}
        if status == "revoked":
            said["revoked_at"] = at
        against = consent(**said)
        holds(ask(against, consent()), rule)
        holds(ask(consent(**{**said, "sensitivities": None}), made=[goal()]), rule)
        everything = consent(
            **{**said, "recipient_ids": None, "purposes": None, "information": None}
        )
        holds(ask(everything, consent()), rule)


def test_42_cfr_2_13_a_default_deny__with_a_consent_sends():
    """Substance use goes with a consent."""
    sends(ask(consent()))


@pytest.mark.parametrize("label", ["SUD", "ETH", "ETHUD", "OPIOIDUD"])
def test_42_cfr_2_13_a_default_deny__without_one_holds(label: str):
    """To whoever treats, and by a policy that needs no consent for the rest."""
    holds(ask(made=[goal(label)]), "42_cfr_2_13_a_default_deny")


@pytest.mark.parametrize(
    ("named", "label"),
    [("SUD", "SUD"), ("SUD", "OPIOIDUD"), ("ETH", "ETHUD"), ("HIV", "HIV"), ("MH", "PSY")],
)
def test_42_cfr_2_31_a_3_sensitivity_by_name__named_sends(named: str, label: str):
    """By its own name, or by that of what it is a kind of."""
    sends(ask(consent(sensitivities=[named]), made=[goal(label)]))


@pytest.mark.parametrize(
    ("named", "label"),
    [
        ("ETHUD", "SUD"),
        ("ETHUD", "OPIOIDUD"),
        ("BH", "SUD"),
        ("SUD", "HIV"),
        ("PSY", "MH"),
        (None, "SDV"),
    ],
)
def test_42_cfr_2_31_a_3_sensitivity_by_name__not_named_holds(named: str | None, label: str):
    """A consent for everything covers nothing sensitive that it does not name."""
    made = consent(information=["everything"], sensitivities=[named] if named else None)
    holds(ask(made, made=[goal(label)]), "42_cfr_2_31_a_3_sensitivity_by_name")


def test_42_cfr_2_31_a_3_sensitivity_by_name__one_consent_for_all_labels_sends():
    """Two labels of one element need one consent that names both."""
    sends(ask(consent(sensitivities=["SUD", "HIV"]), made=[goal("SUD", "HIV")]))


def test_42_cfr_2_31_a_3_sensitivity_by_name__two_consents_for_one_each_holds():
    """Neither of them was about both at once."""
    pair = (consent(), consent(id="c-2", sensitivities=["HIV"]))
    holds(ask(*pair, made=[goal("SUD", "HIV")]), "42_cfr_2_31_a_3_sensitivity_by_name")


@pytest.mark.parametrize("information", [["goals"], ["everything"], ["care_plan", "goals"]])
def test_42_cfr_2_31_a_3_amount_and_kind__named_sends(information: list[str]):
    """Goals are named, alone or among others."""
    sends(ask(consent(information=information)))


def test_42_cfr_2_31_a_3_amount_and_kind__not_named_holds():
    """A consent for the care plan does not cover goals."""
    holds(ask(consent(information=["care_plan"])), "42_cfr_2_31_a_3_amount_and_kind")


def test_42_cfr_2_31_a_3_amount_and_kind__an_element_of_two_kinds_needs_both_named_holds():
    """Readable text tells of the crisis plan too: with one of both named it stays."""
    kinds = {"Goal.text": frozenset({"goals", "crisis_plan"})}
    made = [Marked(goal("SUD").resource, goal("SUD").labels, kinds)]
    decision = ask(consent(), made=made)
    assert [one.path for one in decision.withheld] == ["Goal.text"]
    sends(ask(consent(information=["goals", "crisis_plan"]), made=made))


def test_42_cfr_2_31_a_3_amount_and_kind__what_is_inside_is_of_that_kind_too_holds():
    """A sensitive line of the crisis plan needs one consent for both, not one for each."""
    note, line = "Goal.note", "Goal.note[0]"
    made = [Marked(goal().resource, {line: frozenset({"HIV"})}, {note: frozenset({"crisis_plan"})})]
    pair = (consent(sensitivities=["HIV"]), consent(id="c-2", information=["crisis_plan"]))
    decision = ask(*pair, made=made)
    assert [one.path for one in decision.withheld] == [line, "Goal.text"]
    both = consent(sensitivities=["HIV"], information=["crisis_plan"])
    sends(ask(both, made=made))


def test_42_cfr_2_31_a_3_amount_and_kind__a_copy_of_the_consent_itself_sends():
    """42 CFR 2.32 lets it go along with what is sent by it; that of another consent stays."""
    made = [Marked({"resourceType": "Consent", "id": "consent.c-1"}, {})]
    asked = {"made": made, "record_type": "consent", "default": "consent_for_all"}
    sends(ask(consent(), record_id="c-1", **asked))
    holds(ask(consent(), record_id="c-2", **asked), "42_cfr_2_31_a_3_amount_and_kind")


@pytest.mark.parametrize("why", ["treatment", "care_coordination"])
def test_45_cfr_164_506_c_treatment__not_sensitive_to_who_treats_sends(why: Any):
    """No consent is needed, and no label and no notice goes along."""
    decision = ask(made=[goal()], why=why)
    sends(decision)
    assert (decision.basis, decision.consents, decision.part2) == ("treatment", (), False)
    assert decision.resources == (goal().resource,)


def test_45_cfr_164_506_c_treatment__to_others_for_more_or_by_policy_holds():
    """Who does not treat, another purpose, or a site that asks for a consent always."""
    rule = "45_cfr_164_506_c_treatment"
    holds(ask(made=[goal()], who=COLLEGE), rule)
    holds(ask(made=[goal()], why="payment"), rule)
    holds(ask(made=[goal()], default="consent_for_all"), rule)


# ---- the rules themselves ---------------------------------------------------------------------


@pytest.mark.parametrize("name", [rule.name for rule in RULES])
def test_every_rule_has_a_case_that_sends_and_one_that_holds(name: str):
    """A reviewer goes from the paragraph to the test by its name."""
    mine = [one for one in globals() if one.startswith(f"test_{name}__")]
    assert any(one.endswith("_sends") for one in mine)
    assert any(one.endswith("_holds") for one in mine)


def test_no_case_is_called_after_a_rule_that_is_not_there():
    """A renamed rule takes its tests along."""
    named = [one for one in globals() if one.startswith(("test_42_cfr", "test_45_cfr"))]
    assert {one.removeprefix("test_").partition("__")[0] for one in named} == {
        r.name for r in RULES
    }


def test_the_name_of_a_rule_says_its_paragraph():
    """``42 CFR 2.31(a)(4)(i)`` begins ``42_cfr_2_31_a_4``; its function says it in words."""
    for rule in RULES:
        said = "".join(c if c.isalnum() else "_" for c in rule.paragraph.lower()).replace("__", "_")
        assert rule.name.startswith(said.strip("_").removesuffix("_i"))
        assert rule.paragraph.removesuffix("(i)").split("(")[0] in (rule.ask.__doc__ or "")
        assert rule.read
