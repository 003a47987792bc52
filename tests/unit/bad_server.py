"""An HTTP server on the loopback address that breaks its promises in the ways that real ones do."""

import contextlib
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True)
class Answer:
    """How one request is answered.

    content: the file as it is at that moment. cut_after: bytes of the body after which the
    connection closes. stall_after: bytes after which nothing more comes. drip_after: bytes after
    which one comes at a time, 100 a second. claim: Content-Length as told, None for the true one,
    -1 for none at all. headers: replace or, when None, drop.
    """

    content: bytes = b""
    status: int = 200
    etag: str | None = '"v1"'
    cut_after: int | None = None
    stall_after: int | None = None
    drip_after: int | None = None
    claim: int | None = None
    chunked: bool = False
    ignore_range: bool = False
    ignore_if_range: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class BadServer:
    """Gives each request to a path the next of its answers, and the last one ever after.

    certificate: a file with it and its key; the server then speaks TLS.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, list[Answer]] = {}
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.scheme = "https"

    def url(self, path: str, *answers: Answer) -> str:
        """Put answers under a path and return its address."""
        self.answers[path] = list(answers)
        return f"{self.scheme}://127.0.0.1:{self._server.server_address[1]}{path}"

    def ranges(self) -> list[str | None]:
        """Return the Range header of every request so far."""
        return [headers.get("Range") for _, headers in self.requests]

    @contextlib.contextmanager
    def running(self) -> Iterator["BadServer"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def _next(self, path: str, headers: dict[str, str]) -> Answer:
        with self._lock:
            self.requests.append((path, headers))
            waiting = self.answers.get(path) or [Answer(status=404)]
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = server._next(self.path, dict(self.headers.items()))
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    self._give(answer)

            def _give(self, answer: Answer) -> None:
                start, status = self._start(answer), answer.status
                headers = {} if answer.etag is None else {"ETag": answer.etag}
                if start > 0:
                    size = len(answer.content)
                    status = 416 if start >= size else 206
                    span = "*" if status == 416 else f"{start}-{size - 1}"
                    headers["Content-Range"] = f"bytes {span}/{size}"
                body = answer.content[start:]
                if answer.chunked:
                    headers["Transfer-Encoding"] = "chunked"
                elif answer.claim != -1:
                    claim = len(body) if answer.claim is None else answer.claim
                    headers["Content-Length"] = str(claim)
                self.send_response(status)
                for name, value in {**headers, **answer.headers, "Connection": "close"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self._send(answer, body)

            def _start(self, answer: Answer) -> int:
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if asked is None or answer.ignore_range or answer.status != 200:
                    return 0
                condition = self.headers.get("If-Range")
                known = (answer.etag, answer.headers.get("Last-Modified"))
                if condition and condition not in known and not answer.ignore_if_range:
                    return 0
                return int(asked[1])

            def _send(self, answer: Answer, body: bytes) -> None:
                stop = answer.cut_after if answer.stall_after is None else answer.stall_after
                body = body if stop is None else body[:stop]
                if answer.chunked:
                    body = b"%x\r\n%b\r\n" % (len(body), body)
                    body += b"" if answer.cut_after is not None else b"0\r\n\r\n"
                dripped = b"" if answer.drip_after is None else body[answer.drip_after :]
                self.wfile.write(body[: len(body) - len(dripped)])
                self.wfile.flush()
                for byte in dripped:
                    if server.released.wait(0.01):
                        break
                    self.wfile.write(bytes([byte]))
                if answer.stall_after is not None:
                    server.released.wait(10)

            def log_message(self, *_: object) -> None:
                """Stay silent: pytest's output is for people."""

        return Handler
