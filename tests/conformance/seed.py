"""Makes one image in each state and writes their ids, one a line, beside ready.json."""

import json
import pathlib
import sys

from client import Client

file = pathlib.Path(sys.argv[1])
client = Client(json.loads(file.read_text()))
uploads = [client.ready_image(visibility=visibility, title="Harbour")[0] for visibility in ("public", "private")]
broken = client.reserve(b"not a picture")
client.send(broken, b"not a picture")
client.settled(broken["image"])
trashed, _ = client.ready_image()
client.call("DELETE", f"/v1/images/{trashed['image']}")
pending = client.reserve(b"never sent")
uploads += [broken, trashed, pending]
for name, values in {
    "image": [upload["image"] for upload in uploads],
    "upload": [upload["id"] for upload in uploads],
    "project": [client.ready["project"]],
}.items():
    file.with_name(f"{name}.txt").write_text("".join(f'"{value}"\n' for value in values))
