"""An address opened over http or https: redirects followed and bounded, every refusal in words."""

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
    """The answer ended early or was a passing refusal: worth asking the same mirror again.

    wait_s: what the server asks for. is_slow: bytes came, but too few to call it progress.
    """

    def __init__(self, cause: str, wait_s: float | None = None, is_slow: bool = False) -> None:
        super().__init__(cause)
        self.wait_s, self.is_slow = wait_s, is_slow


class RefusedError(Exception):
    """This mirror will not give the file that the manifest means: ask the next one."""


def open_url(url: str, headers: dict[str, str], timeout_s: float) -> http.client.HTTPResponse:
    """Send a GET and return the answer, whatever its status unless that is a redirect.

    Raises CutError (worth another try) or RefusedError: so for a certificate that is
    not trusted and for a redirect from https to http.
    """
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    seen: list[str] = []
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
            seen.append(url)
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
        if url in seen:
            raise RefusedError(f"redirects in a circle, back to {url[:200]}")
        if len(seen) > MAX_REDIRECTS:
            raise RefusedError(f"more than {MAX_REDIRECTS} redirects, the last to {url[:200]}")


def user_agent() -> str:
    """Return the name that servers see, `avsnn/<version>`."""
    try:
        return f"avsnn/{version('avsnn')}"
    except PackageNotFoundError:
        return "avsnn/0"


def cause_of(error: Exception) -> str:
    """Say in a few words what went wrong on the line."""
    reason = getattr(error, "reason", error)
    # It may quote the server, whose control characters must not reach the terminal.
    text = str(reason).encode("unicode_escape").decode()[:200]
    return f"{type(reason).__name__}: {text}" if text else type(reason).__name__


def status_text(status: int) -> str:
    """Return "HTTP 404 Not Found": our own words, for a server's could carry control characters."""
    return f"HTTP {status} {http.client.responses.get(status, '')}".strip()


def retry_after(response: http.client.HTTPResponse) -> float | None:
    """Return the seconds that Retry-After asks for, told as a number or as a date."""
    text = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
