#!/usr/bin/env python3
"""Previews and thumbnails need no key and cost nothing: given ones, and those that ffmpeg makes from a film and a picture."""

import json
import os
import shutil
import subprocess
from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, assert_refused, main


class PreviewsTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.viewer = self.node("viewer", connect=[self.staker, self.creator], wallet=False)
        self.fund(self.staker, self.creator, 10)
        with self.mining(self.staker):
            self.given_ones()
            self.free_content()
            if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
                print("ffmpeg is not installed: what it would make is not tested")
                return
            self.made_from_a_film()
            self.made_from_a_picture()
            self.a_list_leads_nowhere()

    def given_ones(self):
        preview = self.file("trailer.bin", 3 * MIB + 5, 1)
        thumbnail = self.path("cover.png")
        with open(thumbnail, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + bytes(1000))
        result = json.loads(self.creator.cli("publish", self.file("film.bin", MIB, 2), "--price", "5", "--seed-price", "0.1", "--ask", "0.1",
                                             "--preview", preview, "--thumbnail", thumbnail, "--json"))
        claim = result["claim"]
        self.wait_for_claim(self.viewer, claim)
        # No wallet, no key, no money.
        self.viewer.cli("preview", claim, "-o", self.path("seen-trailer"))
        self.assert_same_file(preview, self.path("seen-trailer"))
        self.viewer.cli("thumbnail", claim, "-o", self.path("seen-cover"))
        self.assert_same_file(thumbnail, self.path("seen-cover"))
        assert_refused(lambda: self.viewer.rpc("getpreview", claim, self.path("seen-cover")), says="exists")
        # Whoever has it serves it on: the viewer's store names what it is.
        assert_equal({c.get("as") for c in self.viewer.rpc("listcontent")}, {"preview", "thumbnail"}, "what the viewer has")
        # Bounds on both ends.
        big = self.file("big.bin", 64 * MIB + 1)
        assert_refused(lambda: self.creator.rpc("publishcontent", path=self.path("film.bin"), price="1", preview=big), says="at most")
        assert_refused(lambda: self.creator.rpc("publishcontent", path=self.path("film.bin"), price="1", preview=self.path("none")), says="none")
        claim = self.publish(self.creator, self.path("film.bin"), "1", title="bare")
        self.wait_for_claim(self.viewer, claim)
        assert_refused(lambda: self.viewer.rpc("getpreview", claim, self.path("bare")), says="has no preview")

    def free_content(self):
        source = self.file("gift.bin", MIB + 7, 3)
        claim = json.loads(self.creator.cli("publish", source, "--free", "--json"))["claim"]
        self.wait_for_claim(self.viewer, claim)
        result = self.get(self.viewer, claim, self.path("gift"))
        assert_equal(Decimal(result["paid"]), Decimal(0), "paid for a gift")
        self.assert_same_file(source, self.path("gift"))

    def run_ffmpeg(self, *args):
        subprocess.run(["ffmpeg", "-v", "error", "-y", *args], check=True, timeout=120)

    @staticmethod
    def probe(path):
        shown = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration:format_tags:stream=codec_type,width,height", "-of", "json", path],
                               check=True, capture_output=True, text=True, timeout=60)
        return json.loads(shown.stdout)

    def made_from_a_film(self):
        film = self.path("-film %d.mp4")   # a name that would be an option, or a pattern
        self.run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=1280x720:rate=10:duration=40", "-f", "lavfi", "-i", "sine=duration=40",
                        "-metadata", "title=secret", "-metadata", "location=+52.5+13.4/", "-preset", "ultrafast", f"file:{film}")
        result = json.loads(self.creator.cli("publish", film, "--price", "5", "--title", "film", "--preview-seconds", "6", "--json"))
        claim = result["claim"]
        self.wait_for_claim(self.viewer, claim)
        clip, still = self.path("clip.mp4"), self.path("still.jpg")
        self.viewer.cli("preview", claim, "-o", clip)
        self.viewer.cli("thumbnail", claim, "-o", still)
        shown = self.probe(clip)
        assert 5 <= float(shown["format"]["duration"]) <= 7, f"the clip of 6 s: {shown}"
        assert "secret" not in str(shown) and "52.5" not in str(shown), "the original's metadata is shown"
        video = next(s for s in shown["streams"] if s["codec_type"] == "video")
        assert video["width"] <= 640 and video["height"] <= 480, f"{video}"
        picture = self.probe(still)["streams"][0]
        assert 0 < picture["width"] <= 512 and 0 < picture["height"] <= 512, f"{picture}"
        assert os.path.getsize(still) <= 256 << 10
        # Unless it is not wanted.
        claim = json.loads(self.creator.cli("publish", film, "--price", "5", "--title", "no trailer", "--no-preview", "--json"))["claim"]
        shown = self.creator.rpc("getclaim", claim)
        assert "preview" not in shown and "thumbnail" not in shown, f"{shown}"
        # An update of the terms keeps what is shown; and of a short film no more than a quarter is.
        short = self.path("short.mp4")
        self.run_ffmpeg("-i", f"file:{film}", "-t", "8", "-c", "copy", short)
        claim = json.loads(self.creator.cli("publish", short, "--price", "5", "--json"))["claim"]
        preview = self.creator.rpc("getclaim", claim)["preview"]
        self.creator.cli("update", claim, "--price", "6")
        assert_equal(self.creator.rpc("getclaim", claim)["preview"], preview, "the preview after an update")
        self.creator.cli("preview", claim, "-o", self.path("short-clip.mp4"))
        assert float(self.probe(self.path("short-clip.mp4"))["format"]["duration"]) <= 3

    def made_from_a_picture(self):
        os.makedirs(self.path("album"))
        self.run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=1600x1200:duration=1:rate=1", "-frames:v", "1", self.path("album/cover.jpg"))
        self.file("album/track.bin", 1000)
        claim = json.loads(self.creator.cli("publish", self.path("album"), "--price", "5", "--json"))["claim"]
        self.wait_for_claim(self.viewer, claim)
        self.viewer.cli("thumbnail", claim, "-o", self.path("album.jpg"))
        picture = self.probe(self.path("album.jpg"))["streams"][0]
        assert_equal((picture["width"], picture["height"]), (512, 384), "the album's thumbnail")

    def a_list_leads_nowhere(self):
        """A playlist posing as a film names another file, which must not be shown."""
        with open(self.path("list.mp4"), "w", encoding="utf-8") as file:
            file.write(f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{self.path('short.mp4')}\n#EXT-X-ENDLIST\n")
        with open(self.path("concat.mp4"), "w", encoding="utf-8") as file:
            file.write("ffconcat version 1.0\nfile short.mp4\n")
        for name in ("list.mp4", "concat.mp4"):
            result = json.loads(self.creator.cli("publish", self.path(name), "--price", "5", "--title", name, "--json"))
            assert "preview" not in result and "thumbnail" not in result, f"{name} was followed: {result}"
            assert "notes" in result, f"{result}"


if __name__ == "__main__":
    main(PreviewsTest)
