"""What guides and house say of referrals, written down for the tests and not read from the code.

Gravity: ReferralTaskStateDiagram and its page on Task; BSeR: Harmonized State Transitions; both as
transcribed in the standards' notes, arrow by arrow.
"""

# ruff: noqa: E501 - a row of a table is read as one line

from __future__ import annotations

# state | who | what they may do. ``~`` stands for the state before.
HOUSE = """
draft            | requester | send>sent mark_error>error
draft            | performer |
sent             | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
sent             | performer | accept>accepted decline>declined cancel>cancelled
accepted         | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
accepted         | performer | decline>declined schedule>scheduled attend>attended hold>on_hold cancel>cancelled complete>completed fail>failed
declined         | requester | reopen>~ mark_error>error
declined         | performer |
scheduled        | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
scheduled        | performer | decline>declined reschedule>scheduled attend>attended miss>no_show cancel_visit>visit_cancelled hold>on_hold cancel>cancelled complete>completed fail>failed
attended         | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
attended         | performer | decline>declined schedule>scheduled attend>attended cancel_visit>visit_cancelled hold>on_hold cancel>cancelled complete>completed fail>failed
no_show          | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
no_show          | performer | decline>declined schedule>scheduled cancel_visit>visit_cancelled hold>on_hold cancel>cancelled fail>failed
visit_cancelled  | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
visit_cancelled  | performer | schedule>scheduled hold>on_hold cancel>cancelled fail>failed
on_hold          | requester | request_cancel>cancel_requested cancel>cancelled mark_error>error
on_hold          | performer | resume>~ schedule>scheduled cancel>cancelled complete>completed fail>failed
cancel_requested | requester | mark_error>error
cancel_requested | performer | confirm_cancel>cancelled refuse_cancel>~ complete>completed
cancelled        | requester | reopen>~ mark_error>error
cancelled        | performer |
completed        | requester | reopen>~ mark_error>error
completed        | performer |
failed           | requester | reopen>~ mark_error>error
failed           | performer |
error            | requester |
error            | performer |
"""

NEEDS_REASON = set(
    "decline hold request_cancel refuse_cancel cancel fail reopen mark_error".split()
)
NEEDS_APPOINTMENT = {"schedule", "reschedule"}
NEEDS_OUTCOME = {"complete"}

TASK = {
    "draft": "draft",
    "sent": "requested",
    "accepted": "accepted",
    "declined": "rejected",
    "scheduled": "in-progress",
    "no_show": "in-progress",
    "visit_cancelled": "in-progress",
    "attended": "in-progress",
    "cancel_requested": "in-progress",
    "cancelled": "cancelled",
    "completed": "completed",
    "on_hold": "on-hold",
    "failed": "failed",
    "error": "entered-in-error",
}
BUSINESS = {
    "sent": "2.0",
    "accepted": "3.0",
    "declined": "4.0",
    "scheduled": "5.1.1",
    "no_show": "5.1.2",
    "visit_cancelled": "5.1.3",
    "attended": "5.1.4",
    "cancel_requested": "5.2",
    "cancelled": "6.0",
    "completed": "7.0",
}
REQUEST = {
    "draft": "draft",
    "on_hold": "on-hold",
    "cancelled": "revoked",
    "completed": "completed",
    "error": "entered-in-error",
}

GRAVITY_ARROWS = {
    "draft": {"requested"},
    "requested": {"accepted", "rejected", "cancelled"},
    "accepted": {"in-progress", "on-hold", "completed", "failed", "cancelled"},
    "in-progress": {"on-hold", "completed", "failed", "cancelled"},
    "on-hold": {"in-progress", "completed", "failed", "cancelled"},
}
GRAVITY_REQUESTER = {"draft", "requested", "entered-in-error", "cancelled"}
GRAVITY_TARGET = set("accepted rejected in-progress on-hold failed completed cancelled".split())

BSER_ARROWS = {
    "draft": {"2.0"},
    "2.0": {"3.0", "4.0", "5.2"},
    "3.0": {"4.0", "5.1.1", "5.1.4", "5.2", "7.0"},
    "5.1.1": {"4.0", "5.1.1", "5.1.2", "5.1.3", "5.2", "5.1.4", "7.0"},
    "5.1.2": {"4.0", "5.1.1", "5.1.3", "5.2"},
    "5.1.3": {"5.1.1", "5.2"},
    "5.1.4": {"4.0", "5.1.1", "5.1.3", "5.2", "5.1.4", "7.0"},
    "5.2": {"6.0", "7.0"},
}
BSER_INITIATOR = {"2.0", "5.2"}


def gravity(state: str, to: str, actor: str) -> bool:
    """Whether Gravity's diagram has the arrow, and its page lets the actor take it."""
    if "cancel_requested" in (state, to):
        return to != "cancel_requested"
    start, end = TASK[state], TASK[to]
    allowed = GRAVITY_REQUESTER if actor == "requester" else GRAVITY_TARGET
    if end not in allowed:
        return False
    if end == "entered-in-error":
        return start != end
    return end in GRAVITY_ARROWS.get(start, ()) or start == end == "in-progress"


def bser(state: str, to: str, actor: str) -> bool:
    """Whether BSeR's table has the transition, and whose it is."""
    if to in ("on_hold", "failed"):
        return False
    if state in ("on_hold", "failed"):  # it has no word for where it is: any way out
        return True
    if to == "error":
        return actor == "requester"
    start, end = BUSINESS.get(state, "draft"), BUSINESS.get(to, "draft")
    if end not in BSER_ARROWS.get(start, ()):
        return False
    return (actor == "requester") == (end in BSER_INITIATOR)


def orders(state: str, to: str, actor: str) -> bool:
    """Who asked cancels before work begins, and asks to cancel after; the rest is R4's."""
    working = {"scheduled", "attended", "no_show", "visit_cancelled"}
    if actor == "requester":
        return {
            "sent": state == "draft",
            "cancelled": state in ("sent", "accepted"),
            "cancel_requested": state in working | {"on_hold"},
            "error": state != "error",
        }.get(to, False)
    if state == "sent":
        return to in ("accepted", "declined")
    if state == "accepted":
        return to in working | {"on_hold", "completed", "failed"}
    if state in working:
        return to in working | {"on_hold", "completed", "failed"}
    if state == "on_hold":
        return to in working | {"accepted", "completed", "failed"}
    return state == "cancel_requested" and to in working | {
        "accepted",
        "on_hold",
        "cancelled",
        "completed",
    }


def plain(_state: str, to: str, _actor: str) -> bool:
    """R4 leaves it open; a request to cancel it cannot say."""
    return to != "cancel_requested"


def rows() -> dict[tuple[str, str], dict[str, str]]:
    """By state and actor: each legal move with where it leads."""
    found = {}
    for line in HOUSE.strip().splitlines():
        state, actor, moves = (part.strip() for part in line.split("|"))
        found[state, actor] = dict(move.split(">") for move in moves.split())
    return found


# What a Task tells, by the state it meets: the moves of the performer, ``-`` no news, ``x`` refused.
# ``on_hold`` stood at scheduled before; ``on_hold<accepted`` at accepted.
HEARD_HEAD = "draft requested received ready accepted rejected in-progress on-hold cancelled completed failed entered-in-error"
HEARD = {
    "gravity": """
draft             -  x  x  x  x        x            x                 x              x       x                  x               x
sent              x  -  -  accept accept decline    accept+schedule   accept+hold    cancel  accept+complete    accept+fail     x
accepted          x  x  x  -  -        x            schedule          hold           cancel  complete           fail            x
declined          x  x  x  x  x        -            x                 x              x       x                  x               x
scheduled         x  x  x  x  x        x            -                 hold           cancel  complete           fail            x
attended          x  x  x  x  x        x            -                 hold           cancel  complete           fail            x
no_show           x  x  x  x  x        x            -                 hold           cancel  schedule+complete  fail            x
visit_cancelled   x  x  x  x  x        x            -                 hold           cancel  schedule+complete  fail            x
on_hold           x  x  x  x  x        x            resume            -              cancel  complete           fail            x
on_hold<accepted  x  x  x  x  x        x            schedule          -              cancel  complete           fail            x
cancel_requested  x  -  -  -  -        x            -                 -              confirm_cancel complete    refuse_cancel+fail x
cancelled         x  x  x  x  x        x            x                 x              -       x                  x               x
completed         x  x  x  x  x        x            x                 x              x       -                  x               x
failed            x  x  x  x  x        x            x                 x              x       x                  -               x
error             x  x  x  x  x        x            x                 x              x       x                  x               -
""",
    "plain": """
draft             -  x  x  x  x        x            x                 x              x       x                  x               x
sent              x  -  -  accept accept decline    accept+schedule   accept+hold    cancel  accept+complete    accept+fail     x
accepted          x  x  x  -  -        decline      schedule          hold           cancel  complete           fail            x
declined          x  x  x  x  x        -            x                 x              x       x                  x               x
scheduled         x  x  x  x  x        decline      -                 hold           cancel  complete           fail            x
attended          x  x  x  x  x        decline      -                 hold           cancel  complete           fail            x
no_show           x  x  x  x  x        decline      -                 hold           cancel  schedule+complete  fail            x
visit_cancelled   x  x  x  x  x        schedule+decline -             hold           cancel  schedule+complete  fail            x
on_hold           x  x  x  x  x        resume+decline resume          -              cancel  complete           fail            x
on_hold<accepted  x  x  x  resume resume resume+decline schedule      -              cancel  complete           fail            x
cancel_requested  x  -  -  -  -        refuse_cancel+decline -        -              confirm_cancel complete    refuse_cancel+fail x
cancelled         x  x  x  x  x        x            x                 x              -       x                  x               x
completed         x  x  x  x  x        x            x                 x              x       -                  x               x
failed            x  x  x  x  x        x            x                 x              x       x                  -               x
error             x  x  x  x  x        x            x                 x              x       x                  x               -
""",
    "orders": """
draft             -  x  x  x  x        x            x                 x              x       x                  x               x
sent              x  -  -  accept accept decline    accept+schedule   accept+hold    x       accept+complete    accept+fail     x
accepted          x  x  x  -  -        x            schedule          hold           x       complete           fail            x
declined          x  x  x  x  x        -            x                 x              x       x                  x               x
scheduled         x  x  x  x  x        x            -                 hold           x       complete           fail            x
attended          x  x  x  x  x        x            -                 hold           x       complete           fail            x
no_show           x  x  x  x  x        x            -                 hold           x       schedule+complete  fail            x
visit_cancelled   x  x  x  x  x        x            -                 hold           x       schedule+complete  fail            x
on_hold           x  x  x  x  x        x            resume            -              x       complete           fail            x
on_hold<accepted  x  x  x  resume resume x          schedule          -              x       complete           fail            x
cancel_requested  x  -  -  -  -        x            -                 -              confirm_cancel complete    refuse_cancel+fail x
cancelled         x  x  x  x  x        x            x                 x              -       x                  x               x
completed         x  x  x  x  x        x            x                 x              x       -                  x               x
failed            x  x  x  x  x        x            x                 x              x       x                  -               x
error             x  x  x  x  x        x            x                 x              x       x                  x               -
""",
}
HEARD_BSER_HEAD = "received/2.0 accepted/3.0 rejected/4.0 in-progress/5.1.1 in-progress/5.1.2 in-progress/5.1.3 in-progress/5.1.4 in-progress/5.2 cancelled/6.0 completed/7.0"
HEARD["bser"] = """
draft             x  x       x                 x                x                     x                              x                 x  x               x
sent              -  accept  decline           accept+schedule  accept+schedule+miss  accept+schedule+cancel_visit   accept+attend     x  x               accept+complete
accepted          x  -       decline           schedule         schedule+miss         schedule+cancel_visit          attend            x  x               complete
declined          x  x       -                 x                x                     x                              x                 x  x               x
scheduled         x  x       decline           -                miss                  cancel_visit                   attend            x  x               complete
attended          x  x       decline           schedule         schedule+miss         cancel_visit                   -                 x  x               complete
no_show           x  x       decline           schedule         -                     cancel_visit                   schedule+attend   x  x               schedule+complete
visit_cancelled   x  x       schedule+decline  schedule         schedule+miss         -                              schedule+attend   x  x               schedule+complete
cancel_requested  x  x       x                 x                x                     x                              x                 -  confirm_cancel  complete
cancelled         x  x       x                 x                x                     x                              x                 x  -               x
completed         x  x       x                 x                x                     x                              x                 x  x               -
error             x  x       x                 x                x                     x                              x                 x  x               x
"""
