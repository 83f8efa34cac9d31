#!/usr/bin/env python3
"""A bought film plays and seeks while only a part of it is on disk: over HTTP with ranges, in ffprobe and ffmpeg, and in a browser; other clients are kept out."""

import base64
import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from decimal import Decimal

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, assert_refused, main

SEED_PRICE = Decimal("0.0005")  # SLU for each MiB
SECONDS = 96
BITRATE = 10_000_000
PROGRAMS = ("ffmpeg", "ffprobe", "chromium")
BROWSER_TIMEOUT_S = 120

PAGE = """<!doctype html><title>player</title><body><script>
const video = document.createElement('video'), report = {};
let target = null;
function tell(more) { navigator.sendBeacon('/report', JSON.stringify(Object.assign(report, more))); }
video.muted = true;
video.src = %(url)s;
video.onerror = () => tell({error: video.error.code + ': ' + video.error.message});
video.onloadedmetadata = () => { report.duration = video.duration; report.width = video.videoWidth; video.play().catch(e => tell({error: String(e)})); };
video.onseeked = () => { report.seeked = video.currentTime; };
video.ontimeupdate = () => {
  if (target === null && video.currentTime > 0.3) {
    report.played = video.currentTime;
    target = video.duration * %(seek)s;
    video.currentTime = target;
  } else if (target !== null && report.seeked !== undefined && video.currentTime > target + 0.3) {
    video.ontimeupdate = null;
    video.pause();
    tell({played_on: video.currentTime});
    video.removeAttribute('src');
    video.load();
  }
};
document.body.append(video);
</script>"""


class StreamingTest(SluiceTest):
    def run(self):
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing:
            print(f"StreamingTest: skipped: not installed: {', '.join(missing)} (contrib/test installs them)")
            sys.exit(0)
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.viewer = self.node("viewer", connect=[self.staker, self.creator])
        self.fund(self.staker, self.creator, 10, self.viewer, 50)
        self.make_films()
        with self.mining(self.staker):
            self.film = self.publish(self.creator, self.late_index, "5", SEED_PRICE, ask=str(SEED_PRICE), make_previews=False, title="Late index")
            self.album_claim = self.publish(self.creator, self.album, "1", SEED_PRICE, ask=str(SEED_PRICE), make_previews=False, title="Album")
            self.without_the_key()
            self.buy(self.viewer, self.film)
            self.buy(self.viewer, self.album_claim)
            self.url = self.viewer.cli("url", self.film)
            # The first chunk comes on credit; the channel that pays for the rest is final some blocks later.
            assert_equal(self.request(self.url, {"Range": "bytes=0-0"})[0], 206, "the first byte")
            self.generate(self.staker, 3, sync=[self.creator, self.viewer])
            self.strict_ranges()
            self.who_may()
            self.with_ffmpeg()
            self.in_a_browser()
            self.a_folder()
            self.from_the_command_line()
            self.the_rest()
        self.settle_chain(self.staker, [self.creator, self.viewer])
        self.assert_conserved([self.staker, self.creator, self.viewer])

    def make_films(self):
        """The same pictures twice: with the index at the end, and at the start of another file in a folder."""
        self.late_index = self.path("late.mp4")
        self.album = self.path("album")
        os.makedirs(os.path.join(self.album, "part one"))
        # Noise, so that the film is as large as it says.
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=size=320x240:rate=10:duration={SECONDS},noise=alls=60:allf=t",
             "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-b:v", str(BITRATE), "-minrate", str(BITRATE),
             "-maxrate", str(BITRATE), "-bufsize", str(BITRATE // 2), "-x264-params", "nal-hrd=cbr", self.late_index], check=True)
        self.fast = os.path.join(self.album, "part one", "fast \u00e4.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-i", self.late_index, "-c", "copy", "-movflags", "+faststart", self.fast], check=True)
        with open(os.path.join(self.album, "notes.txt"), "w", encoding="ascii") as file:
            file.write("hello\n")
        with open(os.path.join(self.album, "index.html"), "w", encoding="ascii") as file:
            file.write("<script>document.title = 'it ran'</script>")
        self.size = os.path.getsize(self.late_index)
        assert self.size > 40 * MIB, f"the film has {self.size} bytes"
        with open(self.late_index, "rb") as file:
            self.bytes = file.read()

    def without_the_key(self):
        self.wait_for_claim(self.viewer, self.film)
        assert_refused(lambda: self.viewer.rpc("getcontenturl", self.film), says="buy it first")
        status, _, body = self.request(f"/content/{self.film}", self.cookie())
        assert_equal(status, 402, "the status without the key")
        assert b"buy it first" in body, body

    def strict_ranges(self):
        status, fields, _ = self.request(self.url, method="HEAD")
        assert_equal((status, fields["Content-Length"], fields["Content-Type"]), (200, str(self.size), "video/mp4"), "HEAD")
        etag = fields["ETag"]
        middle = self.size // 2
        for text, first, last in (("0-0", 0, 0), (f"{middle}-{middle + 9}", middle, middle + 9), ("-7", self.size - 7, self.size - 1),
                                  (f"{self.size - 5}-", self.size - 5, self.size - 1), (f"262127-262128", 262127, 262128)):
            status, fields, body = self.request(self.url, {"Range": f"bytes={text}"})
            assert_equal((status, fields["Content-Range"]), (206, f"bytes {first}-{last}/{self.size}"), text)
            assert_equal(body, self.bytes[first:last + 1], text)
        status, fields, body = self.request(self.url, {"Range": f"bytes=0-3,{middle}-{middle + 3}"})
        assert_equal(status, 206, "several ranges")
        assert fields["Content-Type"].startswith("multipart/byteranges"), fields["Content-Type"]
        assert self.bytes[:4] in body and self.bytes[middle:middle + 4] in body
        status, fields, _ = self.request(self.url, {"Range": f"bytes={self.size}-"})
        assert_equal((status, fields["Content-Range"]), (416, f"bytes */{self.size}"), "a range behind the end")
        assert_equal(self.request(self.url, {"If-None-Match": etag})[0], 304, "a tag that is known")
        # What was not asked for was not fetched: five chunks or so, and no more.
        assert self.stored() < 3 * MIB, f"{self.stored()} bytes were stored for a few small ranges"

    def who_may(self):
        target = f"/content/{self.film}"
        assert_equal(self.request(target)[0], 401, "without credentials")
        assert_equal(self.request(target, self.cookie(), method="HEAD")[0], 200, "with the cookie")
        assert_equal(self.request(target, {**self.cookie(), "Host": "evil.example"})[0], 421, "another Host")
        token = urllib.parse.urlsplit(self.url).path.split("/")[2]
        assert_equal(self.request(f"/t/{token}/content/{self.album_claim}")[0], 403, "a token of another claim")
        assert_equal(self.request(self.url, method="POST")[0], 405, "POST")
        assert_equal(self.request("/content/../../etc/passwd", self.cookie())[0], 404, "a path that leaves")

    def with_ffmpeg(self):
        probed = json.loads(subprocess.run(["ffprobe", "-v", "error", "-show_format", "-of", "json", self.url],
                                           capture_output=True, check=True, timeout=60).stdout)
        assert abs(float(probed["format"]["duration"]) - SECONDS) < 0.5, probed
        assert self.stored() < self.size / 3, f"ffprobe made {self.stored()} of {self.size} bytes come"
        seek = str(SECONDS * 3 // 4)
        assert_equal(self.frame(self.url, seek), self.frame(self.late_index, seek), "the frame after a seek")
        self.assert_a_part()

    @staticmethod
    def frame(source, seek):
        """One decoded picture."""
        return subprocess.run(["ffmpeg", "-v", "error", "-ss", seek, "-i", source, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"],
                              capture_output=True, check=True, timeout=60).stdout

    def in_a_browser(self):
        report = self.play(self.url, 0.4)
        assert "error" not in report, report
        assert abs(report["duration"] - SECONDS) < 0.5 and report["width"] == 320, report
        assert report["played"] > 0.3 and abs(report["seeked"] - 0.4 * SECONDS) < 0.5 and report["played_on"] > report["seeked"], report
        self.assert_a_part()

    def play(self, url, seek):
        """What a page that plays and seeks tells."""
        page = (PAGE % {"url": json.dumps(url), "seek": seek}).encode()
        told = threading.Event()
        reports = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(page if self.path == "/" else b"")

            def do_POST(self):
                reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()
                told.set()

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        profile = tempfile.mkdtemp(prefix="chromium-", dir=self.folder_of_test())
        browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--mute-audio", "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert told.wait(BROWSER_TIMEOUT_S), "the browser told nothing"
        finally:
            browser.terminate()
            browser.wait(30)
            server.shutdown()
            thread.join()
            server.server_close()
        return reports[0]

    def folder_of_test(self):
        return os.path.dirname(self.late_index)

    def a_folder(self):
        base = self.viewer.cli("url", self.album_claim)
        status, fields, body = self.request(base)
        assert_equal((status, fields["Content-Type"]), (200, "application/json"), "the listing")
        listing = {file["path"]: (file["size"], file["type"]) for file in json.loads(body)["files"]}
        assert_equal(listing["part one/fast \u00e4.mp4"], (os.path.getsize(self.fast), "video/mp4"), "the film in the listing")
        before = self.stored(self.album_claim)
        status, fields, body = self.request(base + "/index.html")
        assert_equal(status, 200, "a page of the folder")
        assert fields["Content-Security-Policy"].startswith("sandbox"), "a published page may act here"
        assert self.stored(self.album_claim) - before <= 1 * MIB, "a small file made large ones come"
        film = self.viewer.cli("url", self.album_claim, "part one/fast \u00e4.mp4")
        seek = str(SECONDS // 2)
        assert_equal(self.frame(film, seek), self.frame(self.fast, seek), "a frame of a film in a folder")
        assert_equal(self.request(base + "/nothing")[0], 404, "a file that is not there")

    def from_the_command_line(self):
        part = self.viewer_bytes("get", self.film, "--stream", "--range", "1000-300000")
        assert_equal(part, self.bytes[1000:300001], "a streamed range")
        tail = self.viewer_bytes("get", self.film, "--stream", "--seek", str(self.size - 100_000))
        assert_equal(tail, self.bytes[-100_000:], "what follows a seek")
        target = self.path("notes.out")
        self.viewer.cli("get", self.album_claim, "--file", "notes.txt", "-o", target)
        with open(target, encoding="ascii") as file:
            assert_equal(file.read(), "hello\n", "a file of a folder")
        refused = self.viewer.cli("get", self.album_claim, "--file", "nothing", "-o", self.path("x"), check=False)
        assert refused.returncode != 0 and "nothing" in refused.stderr, refused.stderr
        streamed = self.path("streamed.mp4")
        self.viewer.cli("get", self.album_claim, "--file", "part one/fast \u00e4.mp4", "--stream", "-o", streamed)
        self.assert_same_file(self.fast, streamed)

    def viewer_bytes(self, *args):
        command = [os.path.join(self.bin_dir, "sluice-cli"), f"-datadir={self.viewer.data_dir}", "-chain=regtest", f"-rpcport={self.viewer.rpc_port}", *args]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def the_rest(self):
        """`get` goes on with what the streams left; all of it is paid once."""
        target = self.path("film.out")
        result = self.get(self.viewer, self.film, target)
        self.assert_same_file(self.late_index, target)
        due = SEED_PRICE * (self.size + (self.size // 262128 + 1) * 16) / MIB
        assert Decimal(result["paid"]) <= due * Decimal("1.02") + Decimal("0.001"), f"{result['paid']} was paid for what is {due}"

    # Helpers

    def stored(self, claim=None):
        """Bytes of the film in the viewer's store."""
        root = self.viewer.rpc("getclaim", claim or self.film)["content"]["root"]
        return sum(one["have"] * CHUNK_BYTES for one in self.viewer.rpc("listcontent") if one["root"] == root)

    def assert_a_part(self):
        assert self.stored() < self.size * 0.6, f"{self.stored()} of {self.size} bytes are stored: that is no part"

    def cookie(self):
        with open(self.viewer.chain_dir(".cookie"), encoding="ascii") as file:
            return {"Authorization": "Basic " + base64.b64encode(file.read().encode()).decode()}

    def request(self, target, fields=None, method="GET"):
        """(status, fields, body) of a request to the viewer's gateway."""
        with open(self.viewer.chain_dir("endpoints.json"), encoding="ascii") as file:
            port = json.load(file)["gateway"]
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            parts = urllib.parse.urlsplit(target)
            connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), headers=fields or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


if __name__ == "__main__":
    main(StreamingTest)
