"""Runs every snippet of a guide: the shell's as one session, the browser's as one page, Python's as one program.

    guide.py READY GUIDE    (READY is the stack's ready file)
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from client import Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTO = ROOT / "shared/imaging/tests/fixtures/gps/DSCN0021.jpg"
PATIENCE = 60

# What a page needs that a guide does not show: somebody who picks a file.
PAGE = """<!doctype html><meta charset="utf-8"><title>guide</title><input type="file">
<script>
const report = (outcome) => fetch("/outcome", { method: "POST", body: outcome });
addEventListener("error", ({ message }) => report(message));
addEventListener("unhandledrejection", ({ reason }) => report(String(reason)));
</script>
<script>%s</script>
<script>
new MutationObserver(() => {
  const picture = document.querySelector("img");
  if (!picture) return;
  const done = () => report(picture.naturalWidth > 0 ? "shown" : "an empty picture");
  picture.complete ? done() : picture.addEventListener("load", done);
  picture.addEventListener("error", () => report(`no picture at ${picture.currentSrc}`));
}).observe(document.body, { childList: true });
(async () => {
  const bytes = await (await fetch("/photo.jpg")).blob();
  const picked = new DataTransfer();
  picked.items.add(new File([bytes], "photo.jpg", { type: "image/jpeg" }));
  const input = document.querySelector("input");
  input.files = picked.files;
  input.dispatchEvent(new Event("change"));
})();
</script>
"""


def snippets(guide, ready):
    """The code blocks by language, with this stack's address and key in them."""
    found = {}
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", guide, re.S | re.M):
        code = code.replace("http://127.0.0.1:3000", ready["api"]).replace("tt_01...", ready["key"])
        found.setdefault(language, []).append(code)
    return found


def run(command, script, directory, ready):
    environment = {**os.environ, "TINTYPE_API": ready["api"], "TINTYPE_KEY": ready["key"]}
    subprocess.run(command, input=script, text=True, cwd=directory, env=environment, check=True, timeout=PATIENCE)


def shell(blocks, directory, ready):
    run(["bash", "-euo", "pipefail"], "\n".join(blocks), directory, ready)
    check_picture(directory)


def python(blocks, directory, ready):
    run([sys.executable, "-"], "\n".join(blocks), directory, ready)
    check_picture(directory)


def check_picture(directory):
    picture = directory / "picture.webp"
    assert picture.read_bytes()[8:12] == b"WEBP", "the guide leaves a picture"
    picture.unlink()


def browser(blocks, directory, ready):
    page, outcome, done = PAGE % "\n".join(blocks), [], threading.Event()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            known = {"/": ("text/html; charset=utf-8", page.encode()), "/photo.jpg": ("image/jpeg", PHOTO.read_bytes())}
            self.give(*known.get(self.path, ("text/plain", b"")))

        def give(self, kind, body):
            self.send_response(200 if body else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            if self.path == "/upload-token":
                # What the server of the application does for its page.
                return self.give("application/json", json.dumps(Client(ready).call("POST", "/v1/upload-tokens", {})).encode())
            outcome.append(self.rfile.read(int(self.headers["content-length"])).decode())
            self.give("text/plain", b"thanks")
            done.set()

        def log_message(self, *_):
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "the guide's pages need Chromium"
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update", f"--user-data-dir={directory}/profile",
                 # A page that reports needs no debugger, but without one the browser would end at once.
                 "--remote-debugging-port=0", f"http://127.0.0.1:{site.server_port}/"]
    with open(directory / "chromium.log", "w") as log:
        process = subprocess.Popen([chromium, *arguments], stdout=log, stderr=log)
    try:
        assert done.wait(PATIENCE), "the page does not report"
    finally:
        process.terminate()
        process.wait()
        site.shutdown()
    assert outcome[0] == "shown", outcome[0]


def main():
    ready = json.loads(pathlib.Path(sys.argv[1]).read_text())
    found = snippets(pathlib.Path(sys.argv[2]).read_text(), ready)
    runners = {"sh": shell, "js": browser, "python": python}
    assert found.keys() == runners.keys(), f"snippets in {list(found)}"
    for language, blocks in found.items():
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
            directory = pathlib.Path(name)
            shutil.copy(PHOTO, directory / "photo.jpg")
            runners[language](blocks, directory, ready)
        print(f"{language}: {len(blocks)} snippets work")


main()
