"""A bucket of Google's store in this process: what gs:// is to fsspec and to Orbax.

`etils.epath` reads and writes through fsspec, and Orbax's arrays go through
TensorStore, which speaks to the store's HTTP interface. Both meet in one dictionary. As
in the real store, an object appears when its upload is complete; nothing can be
appended to, there are no folders, and a rename is a copy.
"""

import contextlib
import http.server
import io
import json
import re
import sys
import threading
import types
import urllib.parse

import fsspec
from fsspec.spec import AbstractFileSystem

NAME = "bucket"
OBJECTS: dict[str, tuple[int, bytes]] = {}  # the generation and content, by full name
LOCK = threading.Lock()
WRITES: list[str] = []  # names, in the order of their uploads


def put(name, content):
    with LOCK:
        generation = OBJECTS.get(name, (0, b""))[0] + len(WRITES) + 1
        OBJECTS[name] = (generation, bytes(content))
        WRITES.append(name)
    return generation


def names(prefix=""):
    with LOCK:
        return sorted(name for name in OBJECTS if name.startswith(prefix))


class _Upload(io.BytesIO):
    def __init__(self, name):
        super().__init__()
        self._name = name

    def close(self):
        if not self.closed:
            put(self._name, self.getvalue())
        super().close()


class BucketFileSystem(AbstractFileSystem):
    """As gcsfs: folders are prefixes, and making one does nothing."""

    protocol = ("gcs", "gs")
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return re.sub(r"^(gs|gcs)://", "", str(path)).rstrip("/")

    def ls(self, path, detail=True, **_):
        path = self._strip_protocol(path)
        found = {}
        for name in names(f"{path}/"):
            child = path + "/" + name[len(path) + 1 :].split("/")[0]
            is_file = child == name
            size = len(OBJECTS[name][1]) if is_file else 0
            kind = "file" if is_file else "directory"
            found[child] = {"name": child, "size": size, "type": kind}
        if not found and path in OBJECTS:
            size = len(OBJECTS[path][1])
            found[path] = {"name": path, "size": size, "type": "file"}
        if not found:
            raise FileNotFoundError(path)
        return list(found.values()) if detail else sorted(found)

    def info(self, path, **_):
        path = self._strip_protocol(path)
        if path in OBJECTS:
            size = len(OBJECTS[path][1])
            return {"name": path, "size": size, "type": "file"}
        if path == NAME or names(f"{path}/"):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def _open(self, path, mode="rb", **_):
        path = self._strip_protocol(path)
        if mode == "wb":
            return _Upload(path)
        assert mode == "rb", f"{mode}: an object can be read and replaced, no more"
        if path not in OBJECTS:
            raise FileNotFoundError(path)
        return io.BytesIO(OBJECTS[path][1])

    def mkdir(self, path, create_parents=True, **_):
        pass

    def makedirs(self, path, exist_ok=False):
        pass

    def rm(self, path, recursive=False, maxdepth=None):
        path = self._strip_protocol(path)
        gone = [path, *(names(f"{path}/") if recursive else [])]
        with LOCK:
            if not [OBJECTS.pop(name) for name in gone if name in OBJECTS]:
                raise FileNotFoundError(path)

    rm_file = _rm = rm

    def cp_file(self, path1, path2, **_):
        put(self._strip_protocol(path2), OBJECTS[self._strip_protocol(path1)][1])


class _Handler(http.server.BaseHTTPRequestHandler):
    """The requests that TensorStore makes: read, write, delete and list objects."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):
        pass

    def _parsed(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        found = re.fullmatch(r"(?:/upload)?/storage/v1/b/([^/]+)/o(?:/(.+))?", url.path)
        assert found, self.path
        name = urllib.parse.unquote(found[2] or query.get("name", ""))
        return found[1], name, query

    def _answer(self, status, content=b"", **headers):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _unmet(self, query, generation):
        """Whether a condition of the request on the object's generation fails."""
        wanted, unwanted = (
            query.get("ifGenerationMatch"),
            query.get("ifGenerationNotMatch"),
        )
        if wanted is not None and int(wanted) != generation:
            return 412
        if unwanted is not None and int(unwanted) == generation:
            return 304
        return None

    def do_GET(self):
        bucket, name, query = self._parsed()
        if not name:
            items = [
                {"name": full[len(bucket) + 1 :], "generation": str(OBJECTS[full][0]),
                 "size": str(len(OBJECTS[full][1]))}
                for full in names(f"{bucket}/{query.get('prefix', '')}")
            ]  # fmt: skip
            start, end = query.get("startOffset", ""), query.get("endOffset")
            items = [
                item for item in items
                if item["name"] >= start and (end is None or item["name"] < end)
            ]  # fmt: skip
            return self._answer(200, json.dumps({"items": items}).encode())
        generation, content = OBJECTS.get(f"{bucket}/{name}", (0, b""))
        if not generation:
            return self._answer(404, b"{}")
        if status := self._unmet(query, generation):
            return self._answer(status)
        shown = {"x_goog_generation": generation}
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
            last = min(last, len(content) - 1)
            shown["Content_Range"] = f"bytes {start}-{last}/{len(content)}"
            return self._answer(206, content[start : last + 1], **shown)
        return self._answer(200, content, **shown)

    def do_POST(self):
        bucket, name, query = self._parsed()
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        full = f"{bucket}/{name}"
        if status := self._unmet(query, OBJECTS.get(full, (0,))[0]):
            return self._answer(status, b"{}")
        generation = put(full, content)
        answer = {"name": name, "bucket": bucket, "generation": str(generation)}
        return self._answer(200, json.dumps(answer).encode())

    def do_DELETE(self):
        bucket, name, _ = self._parsed()
        with LOCK:
            gone = OBJECTS.pop(f"{bucket}/{name}", None)
        return self._answer(204 if gone else 404)


def empty():
    """An empty bucket, as fsspec's clients see it."""
    OBJECTS.clear()
    WRITES.clear()
    for protocol in BucketFileSystem.protocol:
        fsspec.register_implementation(protocol, BucketFileSystem, clobber=True)


@contextlib.contextmanager
def served(patch):
    """An empty bucket, as Orbax sees it too."""
    empty()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    patch.setenv("TENSORSTORE_GCS_HTTP_URL", f"http://127.0.0.1:{server.server_port}")
    patch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "none")
    # Orbax asks Google's client whether the bucket has real folders.
    client = types.SimpleNamespace(get_bucket=lambda name: object())
    storage = types.ModuleType("google.cloud.storage")
    storage.Client = lambda: client  # type: ignore[attr-defined]
    cloud = types.ModuleType("google.cloud")
    cloud.storage = storage  # type: ignore[attr-defined]
    patch.setitem(sys.modules, "google.cloud", cloud)
    patch.setitem(sys.modules, "google.cloud.storage", storage)
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()
