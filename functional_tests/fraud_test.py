#!/usr/bin/env python3
"""A key that does not open what it promised is reported with a proof that anyone checks offline; an honest sale gives none, and a forged proof is refused."""

import json
import os
import subprocess

from framework import RpcError, SluiceTest, assert_equal, assert_refused, main


class FraudTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        seller = self.node("seller", connect=[staker])
        buyer = self.node("buyer", connect=[staker, seller])
        self.fund(staker, seller, 10, buyer, 50)
        with self.mining(staker):
            self.file_of_another_key(seller, buyer)
            self.bundle_of_other_keys(seller, buyer)
            self.honest_sale(seller, buyer)
        self.settle_chain(staker, [seller, buyer])
        self.assert_conserved([staker, seller, buyer])

    def verify(self, path, expect=0):
        done = subprocess.run([os.path.join(self.bin_dir, "sluice-util"), "verify-fraud", path, "--json"], capture_output=True, text=True, check=False)
        assert_equal(done.returncode, expect, f"exit status of verify-fraud ({done.stderr})")
        return json.loads(done.stdout) if expect == 0 else done.stderr

    def file_of_another_key(self, seller, buyer):
        claim = self.publish(seller, self.file("promised", 700_000), 2, seal_key="11" * 32, title="promised")
        bought = self.buy(buyer, claim)
        assert_refused(lambda: buyer.rpc("getfraudproof", claim), says="no fraud proof")
        assert_refused(lambda: self.get(buyer, claim, self.path("opened")), says="does not open the content")
        # The grant may not be in a block yet: the proof waits for it.
        buyer.wait_until(lambda: self.has_proof(buyer, claim), "the proof of the fraud")
        proof = buyer.rpc("getfraudproof", claim)
        error = assert_refused(lambda: self.get(buyer, claim, self.path("opened")), says="verify-fraud")
        assert proof["file"] in error.message, f"{error.message} does not name {proof['file']}"
        assert_equal((proof["purchase"], proof["chunk"]), (bought["txid"], 0), "what the proof is of")
        verified = self.verify(proof["file"])
        assert_equal((verified["claim"], verified["purchase"], verified["grant"]), (claim, proof["purchase"], proof["grant"]), "verified")
        for txid in (verified["publish"], verified["purchase"], verified["grant"]):
            seller.rpc("getrawtransaction", txid)

        # Whatever is changed in it proves nothing.
        with open(proof["file"], "rb") as file:
            data = file.read()
        step = max(1, len(data) // 40)
        for at in [*range(0, len(data), step), len(data) - 1]:
            forged = self.path("forged")
            with open(forged, "wb") as file:
                file.write(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
            self.verify(forged, expect=1)
        for cut in (0, 10, len(data) // 2, len(data) - 1):
            with open(self.path("forged"), "wb") as file:
                file.write(data[:cut])
            self.verify(self.path("forged"), expect=1)

    @staticmethod
    def has_proof(node, claim):
        try:
            return bool(node.rpc("getfraudproof", claim))
        except RpcError as error:
            assert "as soon as its sale is in a block" in error.message, error.message
            return False

    def bundle_of_other_keys(self, seller, buyer):
        claim = self.publish(seller, self.file("single", 10_000), 1, title="single")
        published = seller.rpc("publishbundle", title="a false bundle", price="1", claims=[claim], false_key="22" * 32)
        bundle = published["claim"]
        self.buy(buyer, bundle)
        buyer.wait_until(lambda: buyer.rpc("listbundles") and buyer.rpc("listbundles")[0].get("fraud_proof"), "the bundle to be found false")
        listed = buyer.rpc("listbundles")[0]
        assert_equal([t["state"] for t in listed["titles"]], ["false"], "its titles")
        verified = self.verify(listed["fraud_proof"])
        assert claim in verified["what"], verified["what"]
        assert_refused(lambda: self.get(buyer, claim, self.path("single-opened")), says="buy it first")

    def honest_sale(self, seller, buyer):
        source = self.file("honest", 700_000, 5)
        claim = self.publish(seller, source, 1, title="honest")
        self.buy(buyer, claim)
        self.get(buyer, claim, self.path("honest-opened"))
        self.assert_same_file(source, self.path("honest-opened"))
        assert_refused(lambda: buyer.rpc("getfraudproof", claim), says="no fraud proof")


if __name__ == "__main__":
    main(FraudTest)
