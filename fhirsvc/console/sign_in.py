"""Signing in to the pages, and out; and the guards of pages and of ``/api/v1``.

Until there is an account nobody has to sign in: the server then answers on this machine only.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from fhirsvc.errors import Category, FhirsvcError
from fhirsvc.services.accounts import SESSION_S, Accounts, SignedIn, What

COOKIE = "fhirsvc_session"
_OPEN = ("console.static",)  # what the page of signing in is made of
log = structlog.get_logger("fhirsvc.accounts")


def sign_in_pages(accounts: Accounts) -> Blueprint:
    """The blueprint."""
    pages = Blueprint("sign_in", __name__)

    @pages.get("/sign-in")
    def form() -> str:
        """The form."""
        return render_template("sign_in.html", wrong="", target=_local(request.args.get("next")))

    @pages.post("/sign-in")
    def sign_in() -> Response:
        """Let somebody in, and to where they wanted to go."""
        target = _local(request.form.get("next"))
        try:
            secret = accounts.sign_in(
                request.form.get("name", "").strip(), request.form.get("password", "")
            )
        except FhirsvcError as error:
            # Not the name: people type their password there.
            log.warning("sign_in_refused", category=str(error.category))
            page = render_template("sign_in.html", wrong=error.message, target=target)
            return make_response(page, error.meaning.status)
        answer = redirect(target, 303)
        answer.set_cookie(
            COOKIE,
            secret,
            max_age=int(SESSION_S),
            secure=request.is_secure,
            httponly=True,
            samesite="Strict",
        )
        return answer

    @pages.post("/sign-out")
    def sign_out() -> Response:
        """End the session."""
        secret = request.cookies.get(COOKIE, "")
        holder = accounts.holder(secret, "page")
        given = request.form.get("form_token", "")
        if holder is not None and not hmac.compare_digest(holder.form_token, given):
            raise FhirsvcError(Category.FORBIDDEN, "this form is not of this session")
        accounts.sign_out(secret)
        answer = redirect(url_for("sign_in.form"), 303)
        answer.delete_cookie(COOKIE)
        return answer

    return pages


def guard_pages(pages: Blueprint, accounts: Accounts) -> None:
    """Have these pages ask who is there."""

    def guard() -> Response | None:
        if request.endpoint in _OPEN or not accounts.are_kept:
            return None
        holder = accounts.holder(request.cookies.get(COOKIE, ""), "page")
        if holder is None:
            return redirect(url_for("sign_in.form", next=request.full_path.rstrip("?")), 303)
        _let(holder, "pages")
        return None

    pages.before_request(guard)


def guard_api(routes: Blueprint, accounts: Accounts) -> None:
    """Have these routes ask for a token."""

    def guard() -> None:
        if not accounts.are_kept:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = accounts.holder(token, "api") if scheme.lower() == "bearer" else None
        if holder is None:
            message = "an access token is needed: fhirsvc accounts token NAME"
            raise FhirsvcError(Category.UNAUTHENTICATED, message, "Authorization")
        _let(holder, "api")

    routes.before_request(guard)


def _let(holder: SignedIn, what: What) -> None:
    """Remember who is there.

    :raises FhirsvcError: FORBIDDEN where their role does not let them.
    """
    if not holder.may(what):
        raise FhirsvcError(Category.FORBIDDEN, "this role may not")
    g.signed_in = holder


def _local(target: str | None) -> str:
    """An address of ours to go on to; the first page for any other."""
    given = target or "/"
    parts = urlsplit(given) if given.isprintable() and "\\" not in given else None
    is_ours = parts is not None and not parts.scheme and not parts.netloc
    return given if is_ours and given.startswith("/") and not given.startswith("//") else "/"
