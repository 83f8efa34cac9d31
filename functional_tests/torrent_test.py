#!/usr/bin/env python3
"""Sealed content goes out as a BitTorrent v2 torrent that libtorrent accepts and checks whole, and comes in again from the sealed file."""

import hashlib
import json
import os
import shutil
import subprocess

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, assert_refused, main

PYTHON = "/usr/bin/python3"   # Debian's, which python3-libtorrent is for

# Adds the torrent to a session without network, checks the file, and prints what libtorrent makes of both.
CHECK = """
import json, sys
import libtorrent as lt
info = lt.torrent_info(sys.argv[1])
session = lt.session({"listen_interfaces": "", "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
                      "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.storage_notification})
parameters = lt.add_torrent_params()
parameters.ti = info
parameters.save_path = sys.argv[2]
parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
handle = session.add_torrent(parameters)   # without resume data: it checks what is there
checked = False
while not checked:
    if not session.wait_for_alert(30000):
        sys.exit("libtorrent checks for ever")
    checked = any(isinstance(alert, lt.torrent_checked_alert) for alert in session.pop_alerts())
status = handle.status()
print(json.dumps({"name": info.name(), "infohash": str(info.info_hashes().v2), "v2": info.info_hashes().has_v2(), "v1": info.info_hashes().has_v1(),
                  "pieces": info.num_pieces(), "piece_length": info.piece_length(), "size": info.files().file_size(0),
                  "progress": status.progress, "seeding": status.is_seeding, "have": sum(status.pieces)}))
"""


class TorrentTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.importer = self.node("importer", connect=[self.staker])
        self.fund(self.staker, self.creator, 10)
        if subprocess.run([PYTHON, "-c", "import libtorrent"], check=False, capture_output=True).returncode != 0:
            print("python3-libtorrent is not installed: the exported torrents are not checked by libtorrent")
            self.libtorrent = False
        else:
            self.libtorrent = True
        with self.mining(self.staker):
            for size in (5 * MIB + 12_345, 3 * CHUNK_BYTES, 1000):
                self.round_trip(size)

    def sealed_file(self, claim):
        content = self.creator.rpc("getclaim", claim)["content"]
        return self.creator.chain_dir("content", f"{content['root']}-{content['size']}.data"), content

    def round_trip(self, size):
        claim = self.publish(self.creator, self.file(f"film-{size}", size), "1", title=f"film {size}")
        torrent = self.path(f"film-{size}.torrent")
        result = json.loads(self.creator.cli("exporttorrent", claim, torrent, "--json"))
        sealed, content = self.sealed_file(claim)
        assert_equal(result["magnet"], f"magnet:?xt=urn:btmh:1220{result['infohash']}&dn={claim}.sluice&xl={content['size']}", "the magnet")
        assert_refused(lambda: self.creator.wait_for_job(self.creator.rpc("exporttorrent", claim, torrent)["job"]), says="exists")
        folder = self.path(f"for-libtorrent-{size}")
        os.makedirs(folder)
        shutil.copyfile(sealed, os.path.join(folder, f"{claim}.sluice"))
        self.check_with_libtorrent(torrent, folder, content, result)
        self.import_again(claim, os.path.join(folder, f"{claim}.sluice"), content)

    def check_with_libtorrent(self, torrent, folder, content, exported):
        if not self.libtorrent:
            return
        done = subprocess.run([PYTHON, "-c", CHECK, torrent, folder], check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"libtorrent refuses the torrent: {done.stderr}"
        said = json.loads(done.stdout)
        chunks = -(-content["size"] // CHUNK_BYTES)
        assert_equal((said["v2"], said["v1"], said["infohash"]), (True, False, exported["infohash"]), "what libtorrent reads")
        assert_equal((said["size"], said["piece_length"], said["pieces"]), (content["size"], CHUNK_BYTES, chunks), "its shape")
        assert_equal((said["progress"], said["seeding"], said["have"]), (1.0, True, chunks), "what libtorrent finds on the disk")
        # It looks, too: one byte wrong costs a piece.
        path = os.path.join(folder, said["name"])
        self.flip(path, content["size"] // 2)
        done = subprocess.run([PYTHON, "-c", CHECK, torrent, folder], check=False, capture_output=True, text=True, timeout=120)
        assert_equal(json.loads(done.stdout)["have"], chunks - 1, "pieces of a damaged file")
        self.flip(path, content["size"] // 2)

    @staticmethod
    def flip(path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))

    def import_again(self, claim, path, content):
        """The importer knows nobody who has it: all comes from the file."""
        self.wait_for_claim(self.importer, claim)
        chunks = -(-content["size"] // CHUNK_BYTES)
        before = hashlib.sha256(open(path, "rb").read()).hexdigest()
        self.flip(path, 5)
        assert_refused(lambda: self.importer.wait_for_job(self.importer.rpc("importchunks", claim, path)["job"]), says=("hashes", "no chunk"))
        self.flip(path, 5)
        said = self.importer.cli("importchunks", claim, path)
        assert f"{chunks} of {chunks} are here" in said, said
        stored = [c for c in self.importer.rpc("listcontent") if c["root"] == content["root"]]
        assert_equal([(c["complete"], c["claim"]) for c in stored], [(True, claim)], "what the importer has")
        assert_equal(hashlib.sha256(open(path, "rb").read()).hexdigest(), before, "the file itself")
        # A chunk lost on the disk comes from the file alone, too.
        again = self.importer.wait_for_job(self.importer.rpc("importchunks", claim, path)["job"])
        assert_equal((again["added"], again["already_here"]), ("0", str(chunks)), "imported again")


if __name__ == "__main__":
    main(TorrentTest)
