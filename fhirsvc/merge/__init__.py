"""Three-way merge of one resource that both sides have: per element, by owner, lists by key.

``merge`` compares what was said with what is said now, and what the EHR held with what it holds.
``take`` is the same once a person has decided conflicts. After the record took what it was given,
``said_next`` is what to keep as ``said`` of the next round, and ``untaken`` what it could not take.
"""

from fhirsvc.merge.merging import merge, said_next, take, untaken
from fhirsvc.merge.owners import Owner, Owners
from fhirsvc.merge.result import Conflict, Merged, Resolution, Step, Value

__all__ = [
    "Conflict",
    "Merged",
    "Owner",
    "Owners",
    "Resolution",
    "Step",
    "Value",
    "merge",
    "said_next",
    "take",
    "untaken",
]
