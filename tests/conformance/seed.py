"""Makes an operator with an image in each state; writes their ids, one a line, and `made.json` beside ready.json."""

import json
import pathlib
import sys

from client import Client

file = pathlib.Path(sys.argv[1])
ready = json.loads(file.read_text())
operator = Client(ready).invoke("CreateProject", {"name": "Operations", "operator": True})
client = Client({**ready, **operator})

uploads = [client.ready_image(visibility=visibility, title="Harbour")[0] for visibility in ("public", "private")]
broken = client.reserve(b"not a picture")
client.send(broken, b"not a picture")
client.settled(broken["image"])
trashed, _ = client.ready_image()
client.call("DELETE", f"/v1/images/{trashed['image']}")
pending = client.reserve(b"never sent")
in_parts = [client.reserve(b"x" * (9 << 20), method="MULTIPART") for _ in range(3)]
uploads += [broken, trashed, pending, *in_parts]
own_key = client.call("GET", "/v1/keys")["keys"][0]["id"]
keys = [client.call("POST", "/v1/keys", {"scopes": ["images:read"]})["id"] for _ in range(3)]

for name, values in {
    "image": [upload["image"] for upload in uploads],
    "upload": [upload["id"] for upload in uploads],
    "project": [operator["project"]],
    "key": keys,
}.items():
    file.with_name(f"{name}.txt").write_text("".join(f'"{value}"\n' for value in values))
file.with_name("made.json").write_text(json.dumps({
    "token": operator["key"], "own_key": own_key, "key": keys[0],
    "uploads": {upload["id"]: upload["image"] for upload in uploads},
}))
