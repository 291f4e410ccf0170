"""A served clinic for clients that others wrote: ``fhirsvc serve`` with its worker, and a way in.

Where the product has registered clients, the way in is a token of its own token endpoint; before,
it is ``fhir_open``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests
from java_build import LOGS, NotAvailableError

from fhirsvc.cli import COMMANDS

MEDPLUM = "5.2.13"
HAS_CLIENTS = "clients" in COMMANDS
CLIENT = "foreign"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = "system/*.cruds"


@dataclass(frozen=True)
class Served:
    """Where it is served; ``jwks`` is the file of the client's keys, where there is one."""

    url: str
    jwks: Path | None
    client_id: str = field(default=CLIENT)

    @property
    def fhir(self) -> str:
        """The FHIR base."""
        return f"{self.url}/fhir"

    def token(self) -> str:
        """A token of our own, for clients that cannot get one; empty where none is needed."""
        if self.jwks is None:
            return ""
        from joserfc import jwk, jwt

        (private,) = json.loads(self.jwks.read_text())["keys"]
        where = requests.get(f"{self.url}/.well-known/smart-configuration", timeout=30).json()
        endpoint = where["token_endpoint"]
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": endpoint,
            "exp": int(time.time()) + 240,
            "jti": uuid.uuid4().hex,
        }
        header = {"alg": private["alg"], "kid": private["kid"], "typ": "JWT"}
        form = {
            "grant_type": "client_credentials",
            "scope": SCOPE,
            "client_assertion_type": ASSERTION,
            "client_assertion": jwt.encode(header, claims, jwk.ECKey.import_key(private)),
        }
        answer = requests.post(endpoint, data=form, timeout=30)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    @property
    def authorization(self) -> str | None:
        """The header of that name."""
        token = self.token()
        return f"Bearer {token}" if token else None

    def get(self, path: str) -> requests.Response:
        """An answer to ourselves."""
        headers = {"Authorization": said} if (said := self.authorization) else {}
        return requests.get(f"{self.fhir}/{path}", headers=headers, timeout=60)


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Served]:
    """Serve what the database of ``folder`` has, with a worker beside, until the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSVC_")}
    environment = {
        **kept,
        "FHIRSVC_DATABASE_URL": f"sqlite:///{folder / 'fhirsvc.sqlite'}",
        "FHIRSVC_EXPORTS": str(folder / "exports"),
        "FHIRSVC_KEYS": str(folder / "keys"),
        "FHIRSVC_PUBLIC_URL": url,
        "FHIRSVC_SWEEP_S": "0.2",
        **settings,
    }
    if not HAS_CLIENTS:
        environment["FHIRSVC_FHIR_OPEN"] = "true"
    served = Served(url, None)
    if HAS_CLIENTS:
        served = _registered(url, folder, environment)
    command = [sys.executable, "-m", "fhirsvc.cli", "serve", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _await(url, process, folder / "log")
            yield served
        finally:
            process.terminate()
            process.wait(60)


def _registered(url: str, folder: Path, environment: dict[str, str]) -> Served:
    """A client of ours with keys of its own."""
    from joserfc import jwk

    key = jwk.ECKey.generate_key("P-384", {"kid": uuid.uuid4().hex, "alg": "ES384", "use": "sig"})
    private = {**key.as_dict(private=True), "key_ops": ["sign"]}
    public = key.as_dict(private=False)
    mine, theirs = folder / "private.json", folder / "public.json"
    mine.write_text(json.dumps({"keys": [private]}))
    theirs.write_text(json.dumps({"keys": [public]}))
    command = [sys.executable, "-m", "fhirsvc.cli", "clients", "add", CLIENT]
    command += ["--jwks", str(theirs), "--scope", SCOPE, "--json"]
    added = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert added.returncode == 0, added.stderr
    said = json.loads(added.stdout)
    return Served(url, mine, said.get("client_id", CLIENT))


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text(errors="replace")[-1500:]
        try:
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text(errors="replace")[-1500:])


def medplum() -> Path:
    """The installed module of @medplum/core.

    :raises NotAvailableError: Node or the registry is not there.
    """
    node = LOGS.parent / "node"
    module = node / "node_modules" / "@medplum" / "core"
    if shutil.which("node") is None or shutil.which("npm") is None:
        message = "Node is not installed: run tests/interop/setup.sh"
        raise NotAvailableError(message)
    package = module / "package.json"
    if not package.exists() or json.loads(package.read_text())["version"] != MEDPLUM:
        node.mkdir(parents=True, exist_ok=True)
        (node / "package.json").write_text('{"private": true}')
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        command += [f"@medplum/core@{MEDPLUM}"]
        done = subprocess.run(command, cwd=node, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"@medplum/core cannot be installed: {done.stderr[-300:]}"
            raise NotAvailableError(message)
    return module / "dist" / "esm" / "index.mjs"
