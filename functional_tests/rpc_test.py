#!/usr/bin/env python3
"""JSON-RPC and sluice-cli: help, batches, named arguments, who may call, errors with their codes and exit statuses."""

import base64
import http.client
import json
import os
import stat

from framework import SluiceTest, assert_equal, assert_one_line, assert_refused, main

MAX_BODY_BYTES = 4 << 20


class RpcTest(SluiceTest):
    def run(self):
        self.alice = self.node("alice", staker=True)
        self.help_is_complete()
        self.shapes_of_requests()
        self.arguments()
        self.who_may_call()
        self.bounds()
        self.command_line()
        self.waiting()

    def post(self, body, authorization=None, method="POST", path="/", headers=()):
        """Sends raw bytes; returns (HTTP status, body)."""
        if authorization is None:
            with open(self.alice.chain_dir(".cookie"), encoding="ascii") as file:
                authorization = file.read()
        connection = http.client.HTTPConnection("127.0.0.1", self.alice.rpc_port, timeout=60)
        try:
            given = {"Content-Type": "application/json", **dict(headers)}
            if authorization:
                given["Authorization"] = "Basic " + base64.b64encode(authorization.encode()).decode()
            connection.request(method, path, body if isinstance(body, (bytes, str)) else json.dumps(body), given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask(self, request):
        return json.loads(self.post(request)[1])

    def help_is_complete(self):
        methods = self.alice.rpc("getmethods")
        overview = self.alice.rpc("help")
        hidden = self.alice.rpc("help", "hidden")
        for must in ("getblockcount", "sendtoaddress", "publishcontent", "buykey", "getcontent", "settlechannels", "stop", "help"):
            assert must in methods, f"getmethods does not list {must}"
        for name, method in methods.items():
            assert name in overview or name in hidden, f"help does not list {name}"
            text = self.alice.rpc("help", name)
            assert name in text and len(text.strip().splitlines()) > 1, f"help {name} says nothing: {text!r}"
            for argument in method["args"]:
                assert argument["name"] in text, f"help {name} does not name {argument['name']}"
                assert argument["description"], f"{name}.{argument['name']} has no description"
        assert "setmocktime" not in overview, "help lists a method for tests"
        assert_refused(lambda: self.alice.rpc("help", "nothing"), says="nothing")

    def shapes_of_requests(self):
        height = self.alice.rpc("getblockcount")
        answer = self.ask({"jsonrpc": "2.0", "id": "x", "method": "getblockcount"})
        assert_equal(answer, {"jsonrpc": "2.0", "id": "x", "result": height}, "a 2.0 answer")
        answer = self.ask({"id": 7, "method": "getblockcount", "params": []})
        assert_equal((answer["id"], answer["result"], answer["error"]), (7, height, None), "a 1.0 answer")
        batch = self.ask([{"jsonrpc": "2.0", "id": 1, "method": "getblockcount"}, {"jsonrpc": "2.0", "id": 2, "method": "nosuch"}, 5,
                          {"jsonrpc": "2.0", "method": "uptime"}])
        assert_equal([a.get("id") for a in batch], [1, 2, None], "ids of a batch")
        assert_equal(batch[0]["result"], height, "first of a batch")
        assert_equal([a["error"]["code"] for a in batch[1:]], [-32601, -32600], "errors of a batch")
        status, body = self.post({"jsonrpc": "2.0", "method": "uptime"})
        assert_equal((status, body), (204, b""), "the answer to a notification")
        for text, code in (("{", -32700), ("", -32700), ("[]", -32600), ("7", -32600), ('{"id":1}', -32600),
                           ('{"jsonrpc":"2.0","id":1,"method":7}', -32600), ("[" * 100000, -32700), (b"\xff\xfe", -32700)):
            answer = json.loads(self.post(text)[1])
            assert_equal(answer["error"]["code"], code, f"error of {text[:40]!r}")
            assert_one_line(answer["error"]["message"])

    def arguments(self):
        genesis = self.alice.rpc("getblockhash", 0)
        assert_equal(self.alice.rpc("getblockhash", height=0), genesis, "a named argument")
        for call, code, says in (
                (lambda: self.alice.rpc("nosuchmethod"), -32601, "nosuchmethod"),
                (lambda: self.alice.rpc("getblockhash"), -32602, "height"),
                (lambda: self.alice.rpc("getblockhash", 0, 1), -32602, None),
                (lambda: self.alice.rpc("getblockhash", hight=0), -32602, "hight"),
                (lambda: self.alice.rpc("getblockhash", "zero"), None, "height"),
                (lambda: self.alice.rpc("getblockhash", 1000), -8, "height"),
                (lambda: self.alice.rpc("getblockhash", -1), -8, "height"),
                (lambda: self.alice.rpc("getblockhash", 0.5), None, "height"),
                (lambda: self.alice.rpc("getblock", "00"), -8, "64 hexadecimal digits"),
                (lambda: self.alice.rpc("getblock", "00" * 32), -5, "not known"),
                (lambda: self.alice.rpc("getrawtransaction", "11" * 32), -5, "neither"),
                (lambda: self.alice.rpc("sendrawtransaction", "zz"), None, "hex"),
                (lambda: self.alice.rpc("sendtoaddress", "rslu1qqqq", "1"), None, "address"),
                (lambda: self.alice.rpc("getjob", 99), -5, "99")):
            assert_refused(call, code, says)

    def who_may_call(self):
        request = {"jsonrpc": "2.0", "id": 1, "method": "getblockcount"}
        cookie = self.alice.chain_dir(".cookie")
        assert_equal(stat.S_IMODE(os.stat(cookie).st_mode), 0o600, "permissions of the cookie")
        with open(cookie, encoding="ascii") as file:
            credentials = file.read()
        for wrong in ("", "user:password", credentials[:-1], credentials + "0", credentials.replace("__cookie__", "cookie")):
            status, body = self.post(request, authorization=wrong)
            assert_equal(status, 401, f"status with {len(wrong)} characters of credentials")
            assert b"result" not in body
        assert_equal(self.post(request)[0], 200, "status with the cookie")
        assert_equal(self.post("", method="GET")[0], 405, "status of a GET")
        # Only on loopback.
        with open("/proc/net/tcp", encoding="ascii") as file:
            listening = [line.split()[1] for line in file if line.split()[3] == "0A"]
        port = f"{self.alice.rpc_port:04X}"
        assert_equal([a for a in listening if a.endswith(":" + port)], ["0100007F:" + port], "where RPC listens")

    def bounds(self):
        status, _ = self.post(" " * (MAX_BODY_BYTES + 1))
        assert_equal(status, 413, "status of a body over the limit")
        status, _ = self.post("{}", headers=[("X-Long", "x" * (20 << 10))])
        assert_equal(status, 431, "status of a header over the limit")
        answer = self.ask([{"jsonrpc": "2.0", "id": i, "method": "uptime"} for i in range(101)])
        assert_equal(answer["error"]["code"], -32600, "error of a batch over the limit")
        assert_equal(self.alice.rpc("getblockcount"), 0, "the node after all this")

    def command_line(self):
        alice = self.alice
        assert_equal(alice.cli("getblockcount"), "0", "a bare number")
        assert_equal(alice.cli("getbestblockhash"), alice.rpc("getbestblockhash"), "a bare string")
        assert_equal(json.loads(alice.cli("getblockchaininfo"))["chain"], "regtest", "an object")
        assert_equal(alice.cli("-named", "getblockhash", "height=0"), alice.rpc("getblockhash", 0), "a named argument")
        assert "sendtoaddress" in alice.cli("help") and "publish" in alice.cli("help")
        for command in ("publish", "feed", "show", "buy", "get", "seed", "settle", "balance", "send", "peers", "createwallet", "restorewallet", "refund"):
            assert command in alice.cli(command, "--help"), f"{command} --help"
        for args, status, says in (
                (["nosuchmethod"], 32601 & 0xff, "nosuchmethod"),
                (["getblockhash"], 32602 & 0xff, "height"),
                (["getblockhash", "1000"], 8, "height"),
                (["getblock", "00" * 32], 5, "not known"),
                (["show", "123456"], 5, "123456"),
                (["send", alice.rpc("getnewaddress"), "20000000"], 6, "20000000"),
                (["getblockhash", "zero"], 1, "height"),
                (["-nosuchoption", "getblockcount"], 1, "nosuchoption"),
                (["buy"], 1, "CLAIM"),
                (["publish", "x"], 1, "--price"),
                ([], 1, "--help")):
            done = alice.cli(*args, check=False)
            assert_equal(done.returncode, status, f"exit status of {args}: {done.stderr!r}")
            assert_equal(done.stdout, "", f"stdout of {args}")
            assert_one_line(done.stderr)
            assert done.stderr.startswith("error: ") and says in done.stderr, f"{done.stderr!r} does not say {says!r}"
        # A node that is not there.
        away = self.node("away", start=False)
        away.rpc_port = 1
        done = away.cli("getblockcount", check=False)
        assert done.returncode == 1 and "is it running" in done.stderr, done.stderr
        assert_one_line(done.stderr)
        self.nodes.remove(away)

    def waiting(self):
        last = self.alice.rpc("waitevents", 0, 0)["last"]
        assert_equal(self.alice.rpc("waitevents", last, 1)["events"], [], "events without any")
        block, = self.alice.rpc("generateblocks", 1)
        events = self.alice.rpc("waitevents", last)["events"]
        assert any(e["topic"] == "tip" and e["subject"] == block["hash"] for e in events), events
        assert_equal(self.alice.rpc("waitforblockheight", 1)["hash"], block["hash"], "the block waited for")
        assert_equal(self.alice.rpc("waitforblockheight", 5, 1)["height"], 1, "height after the time is over")


if __name__ == "__main__":
    main(RpcTest)
