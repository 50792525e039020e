"""A client of the API with the standard library alone."""

import json
import struct
import time
import urllib.error
import urllib.request
import zlib


def png(width, height):
    """A small picture, in the one format that is easily written."""
    rows = b"".join(b"\0" + bytes((x * 3 % 256, y * 3 % 256, 120)[i] for x in range(width) for i in range(3))
                    for y in range(height))
    chunk = lambda kind, data: (struct.pack(">I", len(data)) + kind + data
                                + struct.pack(">I", zlib.crc32(kind + data)))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Client:
    def __init__(self, ready):
        self.ready = ready

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.ready['key']}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.ready["api"] + path, data, headers, method=method)
        with urllib.request.urlopen(request) as response:
            text = response.read()
        return json.loads(text) if text else None

    def invoke(self, function, event):
        """What nobody may over HTTP on AWS, but whoever has the local stack may."""
        request = urllib.request.Request(f"{self.ready['api']}/_tintype/functions/{function}/invoke",
                                         json.dumps(event).encode(), {"x-tintype-control": "1"})
        with urllib.request.urlopen(request) as response:
            return json.load(response)

    def reserve(self, picture, **more):
        return self.call("POST", "/v1/uploads",
                         {"content_type": "image/png", "bytes": len(picture), "method": "PUT", **more})

    def send(self, upload, picture):
        request = urllib.request.Request(upload["url"], picture, upload["headers"], method="PUT")
        urllib.request.urlopen(request).close()

    def settled(self, image):
        for _ in range(600):
            found = self.call("GET", f"/v1/images/{image}")
            if found["state"] not in ("pending", "processing"):
                return found
            time.sleep(0.05)
        raise TimeoutError(f"{image} does not become ready")

    def ready_image(self, **more):
        picture = png(400, 300)
        upload = self.reserve(picture, **more)
        self.send(upload, picture)
        return upload, self.settled(upload["image"])
