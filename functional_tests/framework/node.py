"""One sluiced process: start, stop, kill, RPC, CLI, and waiting for events."""

import base64
import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time

READY = re.compile(r"^Sluice is ready: .*rpc 127\.0\.0\.1:(\d+), p2p (?:127\.0\.0\.1:(\d+)|off)")
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
WAIT_TIMEOUT_S = 60


class RpcError(Exception):
    """An error that the node answered with."""

    def __init__(self, code, message):
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


class Node:
    """A sluiced with its own data directory, on regtest unless `chain` and the arguments say otherwise.

    Invariants: the process is ours (ended by pid, never by name); ports are chosen by the system; nothing is waited for by time alone.
    """

    def __init__(self, name, bin_dir, data_dir, args=(), chain="regtest"):
        self.name = name
        self.bin_dir = bin_dir
        self.data_dir = data_dir
        self.args = list(args)
        self.chain = chain      # the network's name, which is its folder's
        self.process = None
        self.rpc_port = None
        self.p2p_port = 0
        self.ready = False      # it answers, and nobody has begun to end it
        self.mock_time = None   # Unix seconds at which the node's clock stands; None: the real time
        self.output = []
        self._node_id = None
        os.makedirs(data_dir, exist_ok=True)

    # Life

    def start(self, *extra_args, expect_failure=False, preexec=None):
        """Starts the process and returns once it says that it is ready. `preexec` runs in the child first.

        With expect_failure it must end by itself instead; its exit status and last words are returned.
        """
        assert self.process is None, f"{self.name} runs already"
        command = [os.path.join(self.bin_dir, "sluiced"), f"-datadir={self.data_dir}", f"-chain={self.chain}", "-rpcport=0",
                   "-findproviders=0",   # connections are the test's to make, unless its arguments say otherwise
                   f"-port={self.p2p_port}", *self.args, *extra_args]
        started_at = self.mock_time
        if started_at is not None:
            command.append(f"-mocktime={started_at}")
        self.output = []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=preexec)
        timer = threading.Timer(START_TIMEOUT_S, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                self.output.append(line.rstrip("\n"))
                if match := READY.match(line):
                    assert not expect_failure, f"{self.name} started, which it should not"
                    self.rpc_port = int(match.group(1))
                    self.p2p_port = int(match.group(2) or 0)
                    threading.Thread(target=self._drain, args=(self.process,), daemon=True).start()
                    self.ready = True
                    if self.mock_time != started_at:   # the clock moved on while it started
                        self.set_mock_time(self.mock_time)
                    return None
        finally:
            timer.cancel()
        status = self.process.wait()
        self.process = None
        if expect_failure:
            return status, "\n".join(self.output)
        raise AssertionError(f"{self.name} did not start (exit status {status}): " + "\n".join(self.output[-5:]))

    def _drain(self, process):
        for line in process.stdout:
            self.output.append(line.rstrip("\n"))

    def stop(self):
        """Asks the node to stop and waits until it has."""
        self.ready = False
        if self.process is None:
            return
        if self.process.poll() is None:
            self.rpc("stop")
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        assert status == 0, f"{self.name} stopped with exit status {status}: " + "\n".join(self.output[-5:])

    def terminate(self):
        """SIGTERM, as a service manager sends it."""
        self.ready = False
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        status = process.wait(STOP_TIMEOUT_S)
        assert status == 0, f"{self.name} ended with exit status {status}: " + "\n".join(self.output[-5:])

    def kill(self):
        """kill -9."""
        self.ready = False
        process, self.process = self.process, None
        process.send_signal(signal.SIGKILL)
        process.wait(STOP_TIMEOUT_S)

    def pause(self):
        """The process stands still: its connections stay, and say nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Ends the process in whatever state it is; for clean-up."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait(STOP_TIMEOUT_S)
            self.process = None

    # Calls

    def chain_dir(self, *parts):
        return os.path.join(self.data_dir, self.chain, *parts)

    def log(self):
        with open(self.chain_dir("debug.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def rpc(self, method, *params, timeout=WAIT_TIMEOUT_S, **named):
        """Calls a method, with positional or named arguments."""
        with open(self.chain_dir(".cookie"), encoding="ascii") as file:
            authorization = "Basic " + base64.b64encode(file.read().encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.rpc_port, timeout=timeout)
        try:
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": named or list(params)})
            connection.request("POST", "/", body, {"Authorization": authorization, "Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if answer.get("error") is not None:
            raise RpcError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def cli(self, *args, check=True, stdin=None):
        """Runs sluice-cli as a person would; returns what it printed on stdout. With check=False: the whole CompletedProcess."""
        command = [os.path.join(self.bin_dir, "sluice-cli"), f"-datadir={self.data_dir}", f"-chain={self.chain}", f"-rpcport={self.rpc_port}", *args]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=WAIT_TIMEOUT_S, check=False)
        if not check:
            return done
        assert done.returncode == 0, f"{' '.join(args)} failed ({done.returncode}): {done.stderr or done.stdout}"
        return done.stdout.rstrip("\n")

    def set_mock_time(self, time_s):
        """From now on, also after a restart. A node that is not running, starts or is being ended takes it when it has started."""
        self.mock_time = time_s
        if not self.ready:
            return
        try:
            self.rpc("setmocktime", time_s)
        except (OSError, http.client.HTTPException, json.JSONDecodeError):
            if self.ready and self.process.poll() is None:
                raise

    def node_id(self):
        """The node's name among its peers; it stays."""
        if self._node_id is None:
            self._node_id = self.rpc("getnetworkinfo")["nodeid"]
        return self._node_id

    # Waiting

    def wait_until(self, condition, what, timeout=WAIT_TIMEOUT_S):
        """Returns the first true value of condition(), asked anew after every event of this node."""
        deadline = time.monotonic() + timeout
        seen = self.rpc("waitevents", 0, 0)["last"]
        while True:
            value = condition()
            if value:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"{self.name}: waited {timeout} s for {what}"
            seen = self.rpc("waitevents", seen, int(min(left, 10) * 1000))["last"]

    def wait_for_log(self, text, timeout=WAIT_TIMEOUT_S):
        """Waits until the log has `text`; it is written behind the events."""
        deadline = time.monotonic() + timeout
        while text not in self.log():
            assert time.monotonic() < deadline, f"{self.name}: the log does not say {text!r}"
            self.rpc("waitevents", self.rpc("waitevents", 0, 0)["last"], 100)

    def wait_for_height(self, height, timeout=WAIT_TIMEOUT_S):
        self.wait_until(lambda: self.rpc("getblockcount") >= height, f"height {height}", timeout)

    def wait_for_tip(self, block_hash, timeout=WAIT_TIMEOUT_S):
        self.wait_until(lambda: self.rpc("getbestblockhash") == block_hash, f"tip {block_hash[:16]}", timeout)

    def wait_for_transaction(self, txid, timeout=WAIT_TIMEOUT_S):
        """Waits until a transaction is in the mempool or in a block."""
        def known():
            try:
                return self.rpc("getrawtransaction", txid)
            except RpcError:
                return None
        self.wait_until(known, f"transaction {txid[:16]}", timeout)

    def wait_for_peers(self, count, timeout=WAIT_TIMEOUT_S):
        self.wait_until(lambda: self.rpc("getconnectioncount") >= count, f"{count} peers", timeout)

    def wait_for_job(self, job, timeout=WAIT_TIMEOUT_S):
        """Waits for a job to end; returns its result, raises RpcError if it failed."""
        def ended():
            state = self.rpc("getjob", job)
            return state if state["state"] in ("done", "failed") else None
        state = self.wait_until(ended, f"job {job}", timeout)
        if state["state"] == "failed":
            raise RpcError(-1, state["message"])
        return state["result"]
