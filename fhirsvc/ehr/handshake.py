"""A look at a server's TLS by itself: its version, and how long its certificate is good for."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from fhirsvc.ehr.transport import UNUSABLE, Tls, context_for, origin

DAY_S = 86_400.0


@dataclass(frozen=True)
class Handshake:
    """``days`` until the certificate expires; ``problem`` says why there was no handshake."""

    version: str = ""
    days: float | None = None
    problem: str = ""


def shake(url: str, tls: Tls, timeout_s: float, now: float) -> Handshake:
    """Shake hands with the server of an https address, as the transport does."""
    _, host, port = origin(url)
    context = context_for(tls)
    if context is None:
        return Handshake(problem=UNUSABLE)
    try:
        with (
            socket.create_connection((host, port or 443), timeout_s) as raw,
            context.wrap_socket(raw, server_hostname=host) as secured,
        ):
            certificate = secured.getpeercert() or {}
            version = secured.version() or ""
    except ssl.SSLCertVerificationError as error:
        return Handshake(problem=getattr(error, "verify_message", "") or "not trusted")
    except ssl.SSLError as error:
        reason = str(getattr(error, "reason", None) or "it broke off")
        return Handshake(problem=reason.lower().replace("_", " "))
    except (OSError, ValueError):
        return Handshake(problem="no connection")
    until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return Handshake(version, (until - now) / DAY_S)
