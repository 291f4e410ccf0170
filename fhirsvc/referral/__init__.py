"""Referrals: one state machine, the dialects that partners speak of it, and its clocks.

``acting.act`` makes one move on a record, or says why not. ``hearing.heard`` does what a partner's
Task tells, ``telling.written`` is what is told to them, ``clocks.due`` says who owes what by when.
"""
