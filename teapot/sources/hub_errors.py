"""What the Hub client's exceptions mean, as sentences with the next thing to type. Nothing of their own text is repeated: it may hold a signed URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from teapot.errors import ConfigError, Place, SourceUnavailable, TeapotError
from teapot.sources.retry import AGAIN, TryAgain, again_in, retry_after

LOGIN = "run 'hf auth login' or set HF_TOKEN"


Kind = Literal["dataset", "model"]
"""What a repository of the Hub holds."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request was about. ``endpoint`` is the Hub's address as messages may show it."""

    repo: str
    revision: str | None
    endpoint: str
    place: Place | None
    path: str | None = None
    kind: Kind = "dataset"

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{'datasets/' if self.kind == 'dataset' else ''}{self.repo}"

    def unavailable(self, message: str, hint: str | None) -> SourceUnavailable:
        return SourceUnavailable(message, self.place, hint)


def expected_errors() -> tuple[type[Exception], ...]:
    """The exceptions with which calls of the client may fail.

    The transport's base class is taken from the client's own, because its name depends on the client's version (httpx, httpx2).
    """
    from huggingface_hub import errors as hf

    transport = hf.HfHubHTTPError.__bases__[0]
    # ValueError: an answer that is not JSON, or a name that is none. RuntimeError: the Xet client's.
    return (transport, hf.EntryNotFoundError, hf.XetDownloadError, OSError, RuntimeError, ValueError)


def translate(error: Exception, subject: Subject) -> TeapotError | TryAgain:
    """What to raise for an error of the client: final, or worth another attempt."""
    from huggingface_hub import errors as hf

    if isinstance(error, hf.HFValidationError):
        return ConfigError(f"'{subject.repo}' is not the name of a {subject.kind} on the Hub", subject.place, "write it as 'org/name'")
    if isinstance(error, hf.LocalEntryNotFoundError):
        return _gave_up(error, subject)
    if isinstance(error, hf.OfflineModeIsEnabled):
        return not_cached(subject)
    for kind, explain in _missing():
        if isinstance(error, kind):
            return explain(subject)
    if isinstance(error, hf.HfHubHTTPError):
        return refused(error.response.status_code, error.response.headers, subject)
    if isinstance(error, hf.FileMetadataError):
        hint = "check HF_ENDPOINT, and the proxy if there is one"
        return TryAgain(subject.unavailable(f"what answers at '{subject.endpoint}' is not a Hub", hint))
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError)):
        return subject.unavailable(
            f"the cache of the Hub client cannot be used: {error.strerror}", "make room, or set HF_HOME to another folder"
        )
    if isinstance(error, OSError) and not isinstance(error, (ConnectionError, TimeoutError)):
        return TryAgain(broken(subject))
    if isinstance(error, ValueError):
        hint = "check HF_ENDPOINT, and the proxy if there is one"
        return TryAgain(subject.unavailable(f"the Hub at '{subject.endpoint}' gave an answer that cannot be read", hint))
    if type(error).__name__ == "TooManyRedirects":
        return astray(subject, "without an end")
    return TryAgain(unreachable(subject))


# ---------------------------------------------------------------- of the connection


def timed_out(error: object) -> bool:
    """Whether an exception of the transport says that time ran out. Its classes have no common name but this one."""
    return isinstance(error, TimeoutError) or any(kind.__name__ == "TimeoutException" for kind in type(error).__mro__)


def unreachable(subject: Subject, elsewhere: str | None = None) -> SourceUnavailable:
    """``elsewhere`` is the address of the host to which the Hub has redirected."""
    hint = "check the connection; with --offline, what is cached is used"
    return subject.unavailable(f"{_host(subject, elsewhere)} cannot be reached", hint)


def silent(subject: Subject, seconds: float, elsewhere: str | None = None) -> SourceUnavailable:
    hint = "check the connection, or wait longer with --timeout; with --offline, what is cached is used"
    return subject.unavailable(f"{_host(subject, elsewhere)} did not answer within {seconds:g} seconds", hint)


def _host(subject: Subject, elsewhere: str | None) -> str:
    return f"'{elsewhere}', where the Hub at '{subject.endpoint}' leads," if elsewhere else f"the Hub at '{subject.endpoint}'"


def astray(subject: Subject, how: str) -> SourceUnavailable:
    hint = "check HF_ENDPOINT, and the proxy if there is one"
    return subject.unavailable(f"the Hub at '{subject.endpoint}' redirects {how}", hint)


def stalled(subject: Subject, seconds: float) -> SourceUnavailable:
    hint = "run the same command again, or wait longer with --timeout"
    return subject.unavailable(f"{_transfer(subject)} came to a standstill: less than a KiB a second for {seconds:g} seconds", hint)


def broken(subject: Subject) -> SourceUnavailable:
    return subject.unavailable(f"{_transfer(subject)} broke off", "run the same command again")


def _transfer(subject: Subject) -> str:
    if subject.path is None:
        return f"the answer of the Hub at '{subject.endpoint}' about the {subject.kind} '{subject.repo}'"
    return f"the download of '{subject.path}' from '{subject.repo}'"


def not_cached(subject: Subject) -> SourceUnavailable:
    what = f"'{subject.path}'" if subject.path else "the list of files"
    hint = "run the same command once without --offline or --frozen" if subject.kind == "dataset" else "run it without --offline"
    return subject.unavailable(f"{what} of the {subject.kind} '{subject.repo}' is not cached, and the network is not used", hint)


def _gave_up(error: Exception, subject: Subject) -> TeapotError | TryAgain:
    """The client looked for a file, and found nothing in its cache instead."""
    cause = error.__cause__
    return translate(cause, subject) if isinstance(cause, Exception) else not_cached(subject)


def _missing() -> tuple[tuple[type[Exception], Callable[[Subject], SourceUnavailable]], ...]:
    """By exception, the more special ones first."""
    from huggingface_hub import errors as hf

    return (
        (hf.GatedRepoError, _gated),
        (hf.RepositoryNotFoundError, _no_repo),
        (hf.RevisionNotFoundError, _no_revision),
        (hf.EntryNotFoundError, _no_entry),
    )


def _gated(subject: Subject) -> SourceUnavailable:
    return subject.unavailable(f"the {subject.kind} '{subject.repo}' is gated", f"accept its terms at {subject.page}, then {LOGIN}")


def _no_repo(subject: Subject) -> SourceUnavailable:
    return subject.unavailable(
        f"the {subject.kind} '{subject.repo}' does not exist on the Hub, or is private",
        f"check the name; for a private {subject.kind} {LOGIN}",
    )


def _no_revision(subject: Subject) -> SourceUnavailable:
    return subject.unavailable(
        f"the {subject.kind} '{subject.repo}' has no revision '{subject.revision}'",
        f"choose a branch, tag or commit from {subject.page}/commits/main",
    )


def _no_entry(subject: Subject) -> SourceUnavailable:
    if subject.path is None:
        return subject.unavailable(
            f"the Hub at '{subject.endpoint}' has no list of the files of the {subject.kind} '{subject.repo}'", "check HF_ENDPOINT"
        )
    return subject.unavailable(
        f"the {subject.kind} '{subject.repo}' has no file '{subject.path}' at '{subject.revision}'",
        f"see what is there at {subject.page}/tree/main",
    )


def refused(status: int, headers: Mapping[str, str], subject: Subject) -> TeapotError | TryAgain:
    if status == 401:
        return subject.unavailable("the Hub does not accept the access token", f"{LOGIN}, with a token that is still valid")
    if status == 403:
        return subject.unavailable(
            f"the Hub refuses access to the {subject.kind} '{subject.repo}'", f"{LOGIN}, with a token that may read it"
        )
    wait = retry_after(headers) if status in AGAIN else None
    error = subject.unavailable(
        f"the Hub at '{subject.endpoint}' answered with status {status} about the {subject.kind} '{subject.repo}'",
        again_in(wait) if status in AGAIN else "see what this status means, or ask whoever runs this Hub",
    )
    return TryAgain(error, wait) if status in AGAIN else error
