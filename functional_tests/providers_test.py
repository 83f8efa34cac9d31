#!/usr/bin/env python3
"""A node that knows nothing but the chain finds who serves a claim: by the claim's endpoints, by a common peer, by the DHT, and on the local network."""

import os
import socket

from framework import MIB, SluiceTest, assert_equal, assert_refused, main

SIZE = 2 * MIB + 4321


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ProvidersTest(SluiceTest):
    def run(self):
        self.lan_port = free_udp_port()
        self.staker = self.node("staker", "-dht=1", staker=True)
        self.dht_port = self.staker.rpc("getnetworkinfo")["dht"]["port"]
        assert self.dht_port > 0, "the DHT has no port"
        self.creator = self.node("creator", "-dht=1", f"-dhtbootstrap=127.0.0.1:{self.dht_port}", "-lan=1", f"-lanport={self.lan_port}", connect=[self.staker])
        self.fund(self.staker, self.creator, 10)
        own = f"127.0.0.1:{self.creator.p2p_port}"
        with self.mining(self.staker):
            self.named = self.publish_free("named", endpoints=["127.0.0.1:1", own])
            self.plain = self.publish_free("plain")
        self.by_the_claims_endpoint()
        self.by_a_common_peer()
        self.by_the_dht()
        self.on_the_local_network()

    def publish_free(self, name, **named):
        return self.publish(self.creator, self.file(name, SIZE), "0", title=name, free=True, **named)

    def viewer(self, name, *args):
        """A node that has the chain, and then nobody."""
        viewer = self.node(name, "-findproviders=1", *args, connect=[self.staker])
        viewer.wait_for_tip(self.staker.rpc("getbestblockhash"))
        return viewer

    def leave(self, viewer):
        self.disconnect(viewer, self.staker)
        assert not self.is_connected(viewer, self.creator)

    def fetch(self, viewer, claim, name, source):
        """As a person does it. Returns the creator as viewer's provider."""
        target = self.path(f"{viewer.name}-{name}")
        viewer.cli("get", claim, "-o", target)
        self.assert_same_file(self.path(name), target)
        shown = viewer.rpc("getproviders", claim)
        assert_equal((shown["fetching"], shown["size"] > SIZE), (False, True), "the content")
        (provider,) = [one for one in shown["providers"] if one.get("nodeid") == self.creator.node_id()]
        assert_equal((provider["source"], provider["state"], provider["serves"]), (source, "connected", True), "the creator as a provider")
        assert provider["delivered"] >= SIZE, f"too little was delivered: {provider}"
        assert source in viewer.cli("providers", claim), "sluice-cli providers"
        return provider

    def by_the_claims_endpoint(self):
        viewer = self.viewer("viewer-claim")
        self.leave(viewer)
        self.fetch(viewer, self.named, "named", "claim")
        (peer,) = viewer.rpc("getpeerinfo")
        assert_equal(peer["connection_type"], "provider", "how they are connected")
        assert_equal(viewer.rpc("getnetworkinfo")["connections_providers"], 1, "provider connections")
        # Privileged ports are dialled for nobody.
        assert "127.0.0.1:1 " not in viewer.log()
        assert_refused(lambda: viewer.rpc("getproviders", "ff" * 32), says="no content with this root")
        viewer.stop()

    def by_a_common_peer(self):
        viewer = self.viewer("viewer-exchange")
        self.fetch(viewer, self.plain, "plain", "exchange")
        assert self.is_connected(viewer, self.staker), "the common peer is still there"
        viewer.stop()

    def by_the_dht(self):
        viewer = self.viewer("viewer-dht")
        viewer.stop()
        # No peers of the chain at all, lest it finds the creator as a node: providers have places of their own.
        viewer.args += ["-maxconnections=0", "-dht=1", f"-dhtbootstrap=127.0.0.1:{self.dht_port}"]
        viewer.start()
        self.fetch(viewer, self.plain, "plain", "dht")
        assert_equal([peer["connection_type"] for peer in viewer.rpc("getpeerinfo")], ["provider"], "connections")
        state = viewer.rpc("getnetworkinfo")
        assert_equal((state["dht"]["enabled"], state["lan"]["enabled"], state["upnp"]["state"]), (True, False, "off"), "what finds others")
        assert_equal(state["dht"]["announced"], 1, "a downloader announces itself as a node, and no content")
        assert_equal(self.creator.rpc("getnetworkinfo")["dht"]["announced"], 3, "the creator announces itself and both titles")
        viewer.stop()

    def on_the_local_network(self):
        # It accepts no connections, so the creator does not come first.
        viewer = self.viewer("viewer-lan", "-listen=0", "-lan=1", f"-lanport={self.lan_port}")
        viewer.wait_until(lambda: self.is_connected(viewer, self.creator), "the creator to be found on the local network")
        self.disconnect(viewer, self.staker)
        assert_equal([peer["connection_type"] for peer in viewer.rpc("getpeerinfo")], ["outbound"], "connections")
        (known,) = viewer.rpc("getnodeaddresses")
        assert_equal((known["address"], known["source"], known["tried"]), (f"127.0.0.1:{self.creator.p2p_port}", "lan", True), "the address")
        target = self.path("viewer-lan-plain")
        viewer.cli("get", self.plain, "-o", target)
        self.assert_same_file(self.path("plain"), target)
        # The outbound peer is an anchor: after a restart it is dialled though nothing tells of it.
        peers = viewer.chain_dir("peers.dat")
        viewer.wait_until(lambda: os.path.exists(peers), "peers.dat", timeout=30)
        viewer.kill()
        viewer.args = [arg for arg in viewer.args if not arg.startswith("-lan")]
        viewer.start()
        viewer.wait_until(lambda: self.is_connected(viewer, self.creator), "the anchor")
        # A damaged file is a new start, not an error.
        viewer.kill()
        with open(peers, "r+b") as file:
            file.write(b"damaged")
        viewer.start()
        viewer.wait_for_log("peers.dat")
        assert_equal(viewer.rpc("getnodeaddresses"), [], "addresses")
        viewer.stop()


if __name__ == "__main__":
    main(ProvidersTest)
