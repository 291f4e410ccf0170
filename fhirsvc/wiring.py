"""The only place that builds stores, engine and clients, each from the settings.

It is over 300 lines because nothing else may build them.
"""

from __future__ import annotations

import random
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhirsvc import settings as settings_
from fhirsvc import shipped
from fhirsvc.ehr.client import Limits
from fhirsvc.ehr.content import fingerprint
from fhirsvc.ehr.guarded import guarded
from fhirsvc.ehr.keys import KeyFolder
from fhirsvc.errors import Category, FhirsvcError, Finding
from fhirsvc.fhir.scoring import Direction
from fhirsvc.fhir.validate import validate
from fhirsvc.mapping.achievement import Moved, moved_by
from fhirsvc.mapping.forward import Mappings
from fhirsvc.mapping.sensitive import Sensitivity
from fhirsvc.records import check
from fhirsvc.services.accounts import Accounts
from fhirsvc.services.arranging import Arranger
from fhirsvc.services.chores import Chores, Piece
from fhirsvc.services.clients import Clients
from fhirsvc.services.deliver import Deliverer
from fhirsvc.services.exporting import Exporter
from fhirsvc.services.exports import Exports, MaySend, everything
from fhirsvc.services.groups import Groups
from fhirsvc.services.hand_off import HandOff
from fhirsvc.services.intake import Intake
from fhirsvc.services.lanes import Lanes
from fhirsvc.services.lens import Lens
from fhirsvc.services.liveness import Identity
from fhirsvc.services.notify import Notifier
from fhirsvc.services.notify_note import note
from fhirsvc.services.operate import Operator
from fhirsvc.services.ports import Check, Companions, Mapper, Validate
from fhirsvc.services.project import US_CORE, Projector
from fhirsvc.services.publish import Publisher, alone, unserved
from fhirsvc.services.pull import Puller
from fhirsvc.services.receive import Receiver
from fhirsvc.services.refer import Referrals
from fhirsvc.services.review import Reviewer
from fhirsvc.services.serve import Server
from fhirsvc.services.submit import Submitter
from fhirsvc.services.subscribing import Subscribing
from fhirsvc.services.sweep import Sweeper
from fhirsvc.services.throttle import Throttle
from fhirsvc.services.watching import Watcher
from fhirsvc.settings import Settings
from fhirsvc.store.database import Database

if TYPE_CHECKING:
    from fhirsvc.services.engine import DurableEngine
    from fhirsvc.services.partners import Partners
    from fhirsvc.services.token_office import TokenOffice


NOTIFIERS = 4  # Subscriptions that a worker attends to at once: a slow endpoint delays few
# To read a partner's key set: while it is read, somebody waits for a token.
KEY_SET_LIMITS = Limits(connect_s=3.0, read_s=5.0, body_bytes=65_536)


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass
class Wiring:
    """What a process is made of. Nothing is opened before it is first asked for."""

    settings: Settings
    database: Database
    check: Check
    mapper: Mapper
    validate: Validate
    companions: Companions = alone
    clock: Callable[[], float] = time.time
    moved: Moved | None = None  # what a difference of scores means, where they judge goals
    lens: Lens | None = None  # the way back; without it nothing is taken in
    mappings: Callable[[], Mappings] | None = None  # compiled; without them all goes natively
    may_send: MaySend = everything  # what exports may hold

    def receiver(self, clients: Clients) -> Receiver | None:
        """Takes in what EHRs hold."""
        if self.lens is None:
            return None
        return Receiver(
            self.database,
            self.mapper,
            self.lens,
            self.validate,
            self.publisher,
            self.clock,
            by_scores=self.moved is not None,
            arranger=self.arranger(clients),
        )

    def arranger(self, clients: Clients) -> Arranger | None:
        """Negotiates what goes to whom."""
        if self.mappings is None:
            return None
        return Arranger(self.database, self.mapper, self.mappings, clients.of, self.clock)

    def puller(self, clients: Clients) -> Puller | None:
        """Reads EHRs."""
        receiver = self.receiver(clients)
        if receiver is None or self.lens is None:
            return None
        return Puller(
            self.database,
            receiver,
            self.lens,
            clients.of,
            self.clock,
            random.random,
            _new_id,
        )

    def reviewer(self, clients: Clients) -> Reviewer:
        """Carries out what people decide about what came.

        :raises FhirsvcError: UNSUPPORTED where nothing is taken in.
        """
        receiver = self.receiver(clients)
        if receiver is None:
            raise FhirsvcError(Category.UNSUPPORTED, "nothing is taken in here")
        return Reviewer(self.database, self.mapper, receiver, clients.of, self.clock, _new_id)

    def watcher(self, clients: Clients) -> Watcher:
        """Keeps Subscriptions at EHRs, and hears them."""
        return Watcher(
            self.database,
            clients.of,
            self.clock,
            settings_.secret,
            _new_id,
            self.settings.public_url,
        )

    def clients(self) -> Clients:
        """Clients of connections, to be closed by whoever asks for them."""
        limits = Limits(
            self.settings.connect_timeout_s,
            self.settings.read_timeout_s,
            self.settings.max_answer_bytes,
        )
        return Clients(limits, self.keys, settings_.secret)

    @property
    def partners(self) -> Partners:
        """Partners' clients."""
        from fhirsvc.services.partners import Partners  # noqa: PLC0415 - brings cryptography along

        return Partners(self.database, self.clock, self.settings.partners_private)

    def accounts(self) -> Accounts:
        """Accounts of people and systems; a process needs one."""
        throttle = Throttle(time.monotonic)
        return Accounts(self.database, self.clock, lambda: secrets.token_urlsafe(32), throttle)

    def token_office(self) -> TokenOffice:
        """Gives access tokens to partners' clients; a process needs one."""
        from fhirsvc.services.key_sets import KeySets  # noqa: PLC0415 - brings cryptography along
        from fhirsvc.services.token_office import TokenOffice  # noqa: PLC0415 - the same

        private = self.settings.partners_private
        transport = guarded(KEY_SET_LIMITS, time.monotonic, private=private)
        accept = {"Accept": "application/json", "User-Agent": "fhirsvc"}
        return TokenOffice(
            self.database,
            self.clock,
            lambda: secrets.token_urlsafe(32),
            KeySets(lambda url: transport.send("GET", url, accept), self.clock),
            Throttle(time.monotonic),
        )

    @property
    def keys(self) -> KeyFolder:
        """The keys that EHRs know us by."""
        return KeyFolder(Path(self.settings.keys))

    @property
    def publisher(self) -> Publisher:
        """Takes records in."""
        projector = self.projector
        return Publisher(
            self.database,
            self.check,
            self.clock,
            self.companions,
            moved=self.moved,
            project=unserved if projector is None else projector.project,
        )

    @property
    def referrals(self) -> Referrals:
        """Makes moves of referrals."""
        return Referrals(self.database, self.publisher, self.clock, _new_id)

    @property
    def server(self) -> Server:
        """Answers what /fhir is asked."""
        return Server(self.database, self.clock, _new_id)

    @property
    def submitter(self) -> Submitter | None:
        """Takes in what partners write; without the way back nothing is written."""
        lens, projector = self.lens, self.projector
        if lens is None or projector is None:
            return None
        made = (self.database, self.mapper, lens, self.publisher, projector)
        return Submitter(*made, _new_id)

    @property
    def exports(self) -> Exports:
        """Bulk exports of clients."""
        settings = self.settings
        folder, keep = Path(settings.exports), settings.exports_keep_s
        return Exports(self.database, folder, self.clock, _new_id, keep, self.may_send)

    @property
    def groups(self) -> Groups:
        """The clients of each program."""
        return Groups(self.database)

    def exporter(self, owner: Callable[[], str]) -> Exporter:
        """Makes bulk exports in the name of an executor."""
        projector = self.projector
        return Exporter(
            self.database,
            Path(self.settings.exports),
            self.clock,
            owner,
            _new_id,
            None if projector is None else projector.catch_up,
            self.may_send,
        )

    @property
    def projector(self) -> Projector | None:
        """Keeps what /fhir serves; without the way back nothing is served."""
        lens = self.lens
        if lens is None:
            return None
        return Projector(
            self.database,
            self.mapper,
            self.clock,
            lambda made, held: lens.onto(made, held, US_CORE),
            by_scores=self.moved is not None,
            tell=note,
        )

    @property
    def subscribing(self) -> Subscribing:
        """What partners do to their Subscriptions."""
        return Subscribing(self.database, self.clock, _new_id, self.settings.partners_private)

    def notifier(self) -> Notifier:
        """Tells partners of what changed, to be closed by whoever asks for it."""
        return Notifier(
            self.database,
            self.clock,
            random.random,
            _new_id,
            time.monotonic,
            private=self.settings.partners_private,
        )

    def hand_off(self) -> HandOff:
        """Makes handoff documents.

        :raises FhirsvcError: UNSUPPORTED where records are not mapped.
        """
        mappings = self.mappings
        if mappings is None:
            raise FhirsvcError(Category.UNSUPPORTED, "nothing is mapped here")
        return HandOff(
            self.database,
            self.mapper,
            lambda: mappings().library.instruments,
            lambda record: Sensitivity(mappings()).revealed(record).paths,
            self.clock,
        )

    @property
    def operator(self) -> Operator:
        """Connections, status, retry, pause and resume."""
        return Operator(self.database, self.publisher, self.clock)

    def delivery(self, *, is_alone: bool) -> Delivering:
        """The parts of a process that sends; see :func:`fhirsvc.worker.run_worker`."""
        identity = Identity(
            self.database, self.clock, dead_after_s=self.settings.dead_after_s, is_alone=is_alone
        )
        clients = self.clients()
        deliverer = Deliverer(
            self.database,
            self.mapper,
            self.validate,
            clients.of,
            self.clock,
            random.random,
            identity.is_alive,
            by_scores=self.moved is not None,
            receiver=self.receiver(clients),
            arranger=self.arranger(clients),
        )
        from fhirsvc.services.engine import DurableEngine  # noqa: PLC0415 - only who sends needs it

        lanes = Lanes(self.database, deliverer, lambda: identity.id, self.clock)
        engine = DurableEngine(self.settings.engine_database_url, identity.id, lanes.run)
        sweeper = Sweeper(
            self.database,
            identity,
            lanes=lanes,
            engine=engine,
            publisher=self.publisher,
            clock=self.clock,
            on_share=clients.set_share,
        )
        puller = self.puller(clients)
        intake = None
        if puller is not None:
            every = self.settings.sweep_s
            intake = Intake(self.database, puller, self.watcher(clients), self.clock, every)
        notifier = self.notifier()
        chores = self._chores(lambda: identity.id, notifier, lambda: sweeper.is_busy)
        return Delivering(identity, clients, lanes, engine, sweeper, chores, notifier, intake)

    def _chores(
        self, owner: Callable[[], str], notifier: Notifier, is_busy: Callable[[], bool]
    ) -> Chores:
        """What a worker does beside sending."""
        projector = self.projector
        pieces: dict[str, Piece] = {"export": self.exporter(owner).once}
        pieces |= {f"notify-{number}": notifier.piece for number in range(NOTIFIERS)}
        if projector is not None:
            pieces["project"] = projector.catch_up
        # To tell partners is to wait for them: that gives way to nothing.
        heavy = ("export", "project")
        return Chores(pieces, time.monotonic, self.settings.sweep_s, is_busy, heavy)


@dataclass(frozen=True)
class Delivering:
    """The parts of a process that sends."""

    identity: Identity
    clients: Clients
    lanes: Lanes
    engine: DurableEngine
    sweeper: Sweeper
    chores: Chores
    notifier: Notifier
    intake: Intake | None = None


def build(
    settings: Settings,
    *,
    check: Check,
    mapper: Mapper,
    validate: Validate,
    companions: Companions = alone,
    moved: Moved | None = None,
    lens: Lens | None = None,
    mappings: Callable[[], Mappings] | None = None,
) -> Wiring:
    """Wire a process with the given record check, mappings and resource check.

    ``moved`` is used when the settings ask for goals to be judged by scores.
    """
    database = Database(settings.database_url)
    moved = moved if settings.achievement_from_scores else None
    return Wiring(
        settings,
        database,
        check,
        mapper,
        validate,
        companions,
        moved=moved,
        lens=lens,
        mappings=mappings,
    )


class LateMappings:
    """The mappings of a folder, compiled when something is mapped: most commands map nothing."""

    def __init__(self, folder: str, site: str = "") -> None:
        self._folder = folder
        self._site = site

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return shipped.mappings(self._folder, self._site)

    @cached_property
    def mappings(self) -> Mappings:
        """The compiled mappings; a MappingsError names every mistake in them."""
        return Mappings.load(self._texts)

    @cached_property
    def fingerprint(self) -> str:
        """Tells the mappings of this folder, and of the site over it, from any others."""
        return fingerprint(dict(self._texts))

    def check(self, record: object) -> list[Finding]:
        """What is wrong with a record; only a site's fields and instruments need the mappings."""
        asked = isinstance(record, dict) and record.get("type") in ("assessment", "goal")
        return self.mappings.check(record) if self._site or asked else check(record)

    def forward(self, record: Mapping[str, Any], us_core: int) -> list[dict[str, Any]]:
        """The resources of one record."""
        return self.mappings.forward(record, us_core)

    def moved(self, instrument: str, before: int, after: int) -> Direction | None:
        """What a difference between two totals means, by the instruments of the mappings."""
        return moved_by(self.mappings.library.instruments)(instrument, before, after)

    def resource_types(self) -> tuple[str, ...]:
        """The types of resources that records become, and of the forms they answer."""
        library = self.mappings.library
        forms = {"Questionnaire"} if library.instruments or library.forms else set()
        return tuple(sorted({file.resource for file in library.files} | forms))

    def companions(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The forms that a record answers; only an assessment answers any."""
        return self.mappings.companions(record) if record.get("type") == "assessment" else []


def product(
    settings: Settings, *, mappings: LateMappings | None = None, late: bool = False
) -> Wiring:
    """Wire a process with the shipped record types and the mappings that the settings name.

    With ``late`` the mappings are read when they are first used; ``mappings`` shares them.

    :raises FhirsvcError: INVALID with the place of the first mistake in the mappings, NOT_FOUND
        when there is no such folder.
    """
    mappings = mappings or LateMappings(settings.mappings, settings.site)
    if not late:
        _ = mappings.mappings
    return build(
        settings,
        check=mappings.check,
        mapper=mappings,
        validate=validate,
        companions=mappings.companions,
        moved=mappings.moved,
        lens=Lens(lambda: mappings.mappings),
        mappings=lambda: mappings.mappings,
    )
