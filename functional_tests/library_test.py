#!/usr/bin/env python3
"""The content store: true space, quota, eviction, pins, verification with repair from peers, removal, orphans."""

import json
import os

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, assert_refused, main

SIZE = 8 * CHUNK_BYTES - 1000   # of a file: 8 chunks


class LibraryTest(SluiceTest):
    def run(self):
        self.staker = self.node("staker", staker=True)
        self.creator = self.node("creator", connect=[self.staker])
        self.keeper = self.node("keeper", connect=[self.staker, self.creator])
        self.fund(self.staker, self.creator, 10, self.keeper, 1)
        with self.mining(self.staker):
            claims = [self.publish(self.creator, self.file(f"film{i}", SIZE, i), "1", title=f"film {i}") for i in range(3)]
        self.space_is_true(claims)
        self.eviction_and_pins(claims)
        self.verify_and_repair(claims)
        self.removal(claims)
        self.orphan()

    def du(self, node):
        folder = node.chain_dir("content")
        return sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in os.listdir(folder))

    def space_is_true(self, claims):
        for claim in claims:
            self.seed(self.keeper, claim)
        for node in (self.creator, self.keeper):
            node.wait_until(lambda node=node: all(c["synced"] == c["chunks"] for c in node.rpc("listcontent")), "everything to be on the disk")
            quota = node.rpc("getcontentquota")
            assert_equal(quota["used_bytes"], self.du(node), f"what {node.name} counts and what the disk gives")
            assert_equal(quota["used_bytes"], sum(c["used_bytes"] for c in node.rpc("listcontent")), "the sum of the parts")
        assert_equal({c["pinned"] for c in self.creator.rpc("listcontent")}, {True}, "own publishings are pinned")
        assert_equal({c["pinned"] for c in self.keeper.rpc("listcontent")}, {False}, "what is seeded is not")
        listed = self.keeper.cli("content", "list")
        assert all(f"film {i}" in listed for i in range(3)), listed

    def here(self, node):
        return {c["claim"] for c in node.rpc("listcontent") if not c["orphan"]}

    def eviction_and_pins(self, claims):
        """The keeper has room for two and a half: one goes, and it is the one that is neither pinned nor was used last."""
        one = self.keeper.rpc("listcontent")[0]["used_bytes"]
        self.keeper.rpc("pincontent", claims[0])
        # Read now, so claims[1] is older.
        self.keeper.set_mock_time(self.keeper.mock_time + 60)
        assert_equal(json.loads(self.keeper.cli("content", "verify", claims[2], "--json"))["damaged"], "0", "damaged")
        self.keeper.rpc("setcontentquota", one * 5 // 2)
        assert len(self.here(self.keeper)) == 2 and claims[0] in self.here(self.keeper), "a pinned content was evicted"
        gone = next(claim for claim in claims if claim not in self.here(self.keeper))
        assert self.keeper.rpc("getcontentquota")["used_bytes"] <= one * 5 // 2
        assert_equal(self.du(self.keeper), self.keeper.rpc("getcontentquota")["used_bytes"], "space after the eviction")
        # It is fetched again, and evicts the one that is left unpinned.
        self.seed(self.keeper, gone)
        assert_equal(self.here(self.keeper), {claims[0], gone}, "what is here after the second eviction")
        # With everything pinned nothing makes room.
        self.keeper.cli("content", "pin", gone)
        other = next(claim for claim in claims if claim not in self.here(self.keeper))
        assert_refused(lambda: self.seed(self.keeper, other), says="quota")
        whole = {c["claim"] for c in self.keeper.rpc("listcontent") if c["complete"]}
        assert_equal(whole, {claims[0], gone}, "what is whole: a pinned one was evicted, or the quota was overstepped")
        assert self.keeper.rpc("getcontentquota")["used_bytes"] <= one * 5 // 2
        # Pins survive the node.
        self.keeper.stop()
        self.keeper.start(f"-addnode=127.0.0.1:{self.creator.p2p_port}")
        assert_equal({c["claim"] for c in self.keeper.rpc("listcontent") if c["pinned"]}, {claims[0], gone}, "pins after a restart")
        self.keeper.rpc("unpincontent", gone)
        self.seed(self.keeper, other)   # the quota is the configuration's again
        assert_equal(self.here(self.keeper), set(claims), "with the whole quota")

    def verify_and_repair(self, claims):
        content = self.keeper.rpc("getclaim", claims[0])["content"]
        path = self.keeper.chain_dir("content", f"{content['root']}-{content['size']}.data")
        before = self.sha256(path)
        for chunk in (2, 5):
            with open(path, "r+b") as file:
                file.seek(chunk * CHUNK_BYTES + 77)
                file.write(b"damage")
        assert self.sha256(path) != before
        said = self.keeper.cli("content", "verify")
        assert "2 were damaged, and fetched again" in said, said
        assert_equal(self.sha256(path), before, "the repaired file")
        assert_equal(json.loads(self.keeper.cli("content", "verify", "--json"))["damaged"], "0", "damage after the repair")

    def removal(self, claims):
        assert_refused(lambda: self.creator.rpc("removecontent", claims[0]), says="pinned")
        freed = self.keeper.rpc("removecontent", claims[1])["freed_bytes"]
        assert freed > SIZE, f"only {freed} bytes are free again"
        assert claims[1] not in self.here(self.keeper)
        assert_equal(self.du(self.keeper), self.keeper.rpc("getcontentquota")["used_bytes"], "space after the removal")
        assert_refused(lambda: self.keeper.rpc("removecontent", claims[1]), says="not in this node's store")
        self.keeper.kill()
        self.keeper.start(f"-addnode=127.0.0.1:{self.creator.p2p_port}")
        assert claims[1] not in self.here(self.keeper), "removed content came back"

    def orphan(self):
        """Sealed for a publish that no block takes: it is told apart, and can be removed."""
        # Nobody makes blocks now.
        job = self.creator.rpc("publishcontent", path=self.file("orphan", MIB, 9), price="1", title="never")["job"]
        self.creator.wait_until(lambda: self.creator.rpc("getjob", job)["progress"]["phase"] == "confirming", "the content to be sealed")
        orphans = [c for c in self.creator.rpc("listcontent") if c["orphan"]]
        assert_equal(len(orphans), 1, "orphans")
        assert "(orphan)" in self.creator.cli("content", "list")
        self.creator.cli("content", "remove", orphans[0]["root"][:12], "--pinned-too")
        assert_equal([c for c in self.creator.rpc("listcontent") if c["orphan"]], [], "orphans after removal")


if __name__ == "__main__":
    main(LibraryTest)
