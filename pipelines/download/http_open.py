"""Open an address over http or https: redirects are bounded, refusals carry their reason."""

import http.client
import re
import ssl
import string
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


class CutError(Exception):
    """The answer ended early, or the refusal may pass: the same mirror is asked again.

    wait_s: the pause that the server asks for. is_slow: bytes came, but too few to be progress.
    """

    def __init__(self, cause: str, wait_s: float | None = None, is_slow: bool = False) -> None:
        super().__init__(cause)
        self.wait_s, self.is_slow = wait_s, is_slow


class RefusedError(Exception):
    """This mirror does not have the file of the manifest: the next one is asked."""


def open_url(url: str, headers: dict[str, str], timeout_s: float) -> http.client.HTTPResponse:
    """Send a GET and return the answer, whatever its status unless that is a redirect.

    Raises CutError (another try may succeed) or RefusedError, which includes a certificate that is
    not trusted and a redirect from https to http.
    """
    # no default opener: it also opens file:, ftp: and data:, and follows redirects by itself
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    visited: list[str] = []
    while True:
        try:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise RefusedError(f"{url[:200]!r} is not an http or https address")
            response: http.client.HTTPResponse = opener.open(
                Request(url, headers={"User-Agent": user_agent(), **headers}), timeout=timeout_s
            )
            if response.status not in REDIRECTS:
                return response
            response.close()
            visited.append(url)
            # servers send spaces and letters in Location that http.client refuses
            location = quote(response.headers.get("Location", ""), safe=string.punctuation)
            url = urljoin(url, location)
            # over http anyone on the way can put another file in the place of the right one
            if parts.scheme == "https" and urlsplit(url).scheme == "http":
                raise RefusedError(f"redirects from https to {url[:200]}, which is not safe")
        except (ValueError, http.client.InvalidURL) as error:
            raise RefusedError(f"{url[:200]!r} is not an address ({cause_of(error)})") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise RefusedError(
                    f"its certificate is not trusted ({reason.verify_message}); where that of a "
                    "proxy is needed, name its file in SSL_CERT_FILE"
                ) from error
            raise CutError(cause_of(error)) from error
        if url in visited:
            raise RefusedError(f"redirects in a circle, back to {url[:200]}")
        if len(visited) > MAX_REDIRECTS:
            raise RefusedError(f"more than {MAX_REDIRECTS} redirects, the last to {url[:200]}")


def user_agent() -> str:
    """Return the name that servers see, `avsnn/<version>`."""
    try:
        return f"avsnn/{version('avsnn')}"
    except PackageNotFoundError:
        return "avsnn/0"


def cause_of(error: Exception) -> str:
    """Return the cause of an error of the network in a few words."""
    reason = getattr(error, "reason", error)
    # It may quote the server, whose control characters must not reach the terminal.
    text = str(reason).encode("unicode_escape").decode()[:200]
    return f"{type(reason).__name__}: {text}" if text else type(reason).__name__


def status_text(status: int) -> str:
    """Return "HTTP 404 Not Found" in Python's words: a server's could carry control characters."""
    return f"HTTP {status} {http.client.responses.get(status, '')}".strip()


def retry_after(response: http.client.HTTPResponse) -> float | None:
    """Return the seconds that Retry-After asks for, as a number or as a date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
