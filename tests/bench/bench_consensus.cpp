#include <benchmark/benchmark.h>

#include "consensus/genesis.h"
#include "consensus/ledger_fixture.h"

namespace sluice::consensus {
namespace {

using namespace testing;

// Two inputs of which the first is a purchase lock and the second a coin of key 4.
struct Spend {
    Spend() : lock(*MakeLockTemplate(TestKey(1).XOnly(), TestKey(2).XOnly(), Height(100))) {
        tx.inputs.resize(2);
        tx.inputs[0].sequence = kLockSpendSequence;
        tx.inputs[1].prevout.index = 2;
        tx.outputs = {{Amount(500), KeyScript(3)}};
        spent = {{Amount(1000), lock.output_script}, {Amount(2000), KeyScript(4)}};
        const SpendingTransaction spending(tx, spent);
        const auto sign = [&](uint32_t key, uint8_t type) {
            return TestKey(key).Sign(*spending.SignatureHash(0, type, ScriptPathData{lock.pay_leaf_hash}));
        };
        const auto single = sign(1, kSingleAnyoneCanPay), all = sign(2, kSighashDefault);
        const auto key_path = TestKey(4).TapTweak(std::nullopt)->Sign(*spending.SignatureHash(1, kSighashDefault));
        tx.inputs[0].witness = PayWitness(lock, single, all);
        tx.inputs[1].witness = {ToBytes(key_path.bytes)};
    }
    LockTemplate lock;
    MutableTransaction tx;
    std::vector<TxOutput> spent;
};

void VerifyOneInput(benchmark::State& state, size_t index) {
    const Spend spend;
    const SpendingTransaction spending(spend.tx, spend.spent);
    if (!VerifyInput(spending, index)) state.SkipWithError("the input is not valid");
    for (auto _ : state) benchmark::DoNotOptimize(VerifyInput(spending, index));
}
BENCHMARK_CAPTURE(VerifyOneInput, key_path, 1)->Name("VerifyInput/key_path");
BENCHMARK_CAPTURE(VerifyOneInput, pay_leaf, 0)->Name("VerifyInput/pay_leaf_two_signatures");

void Threshold(benchmark::State& state) {
    Params params;
    uint64_t weight = 1;
    for (auto _ : state) benchmark::DoNotOptimize(LeaderThreshold(params, Amount(weight += 12'345), kMaxSupply));
}
BENCHMARK(Threshold)->Name("LeaderThreshold");

struct HeaderScene {
    HeaderScene() : network(BuiltInGenesis("regtest").value()), root(network.MakeHeaderState()) {
        const OperatorKeys keys = RegtestOperator(0);
        snapshot.block = root.hash;
        snapshot.entries.push_back({keys.staker, Slu(1), {}, crypto::VrfPublic(keys.vrf), keys.signing.XOnly(), 0, {}});
        header.prev = root.hash;
        header.height = Height(1);
        header.slot = Slot(1);
        header.staker = keys.staker;
        std::optional<crypto::VrfProof> proof;
        Electorate electorate(network.params, snapshot, Epoch(0));
        while (!(proof = ProveLeadership(network.params, root, header.slot, electorate, keys))) ++header.slot;
        header.vrf_proof = *proof;
        header.signature = keys.signing.Sign(header.SigningHash(root.hash));
    }
    Genesis network;
    HeaderState root;
    StakeSnapshot snapshot;
    BlockHeader header;
};

void HeaderCheck(benchmark::State& state) {
    const HeaderScene scene;
    Electorate electorate(scene.network.params, scene.snapshot, Epoch(0));
    for (auto _ : state) {
        const auto checked = CheckHeader(scene.network.params, scene.root.hash, scene.root, scene.header, electorate);
        if (!checked) state.SkipWithError("the header is not valid");
    }
}
BENCHMARK(HeaderCheck)->Name("CheckHeader");

void SlotLottery(benchmark::State& state) {
    const HeaderScene scene;
    const OperatorKeys keys = RegtestOperator(0);
    Slot slot(1);
    Electorate electorate(scene.network.params, scene.snapshot, Epoch(0));
    for (auto _ : state) {
        benchmark::DoNotOptimize(ProveLeadership(scene.network.params, scene.root, slot, electorate, keys));
        slot = Slot(slot.value % 150 + 1);
    }
}
BENCHMARK(SlotLottery)->Name("ProveLeadership");

// A ledger with `count` coins, each spent by one payment.
struct Payments {
    explicit Payments(size_t count) {
        for (size_t i = 0; i < count; ++i)
            txs.push_back(
                ledger.Sign(ledger.Build({ledger.Fund(Slu(1))}, {{Amount(Slu(1).drops - 1'000), KeyScript(2)}})));
        block = ledger.MakeBlock(txs);
    }
    Verdict<StateDelta> Connect(const SpendRunner& run) const {
        HeaderState parent, self;
        parent.height = ledger.height;
        parent.slot = ledger.slot;
        self.height = block.header.height;
        self.slot = block.header.slot;
        parent.epoch = ledger.params.EpochOf(parent.slot);
        self.epoch = ledger.params.EpochOf(self.slot);
        return ConnectBlock(ledger.params, {parent, self, ledger.snapshot, ledger.previous_snapshot_hash}, ledger.state,
                            block, run);
    }
    Ledger ledger;
    std::vector<TransactionRef> txs;
    Block block;
};
const Payments& FiveHundred() {
    static const auto* payments = new Payments(500);
    return *payments;
}

void ConnectPayments(benchmark::State& state, bool signatures) {
    const Payments& payments = FiveHundred();
    const SpendRunner run =
        signatures ? SpendRunner(RunSpendsInOrder) : [](std::span<const SpendCheck>) { return Verdict<void>(); };
    for (auto _ : state) {
        if (!payments.Connect(run)) state.SkipWithError("the block is not valid");
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * payments.txs.size()));
}
BENCHMARK_CAPTURE(ConnectPayments, all, true)->Name("ConnectBlock/500_payments")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(ConnectPayments, rules, false)
    ->Name("ConnectBlock/500_payments_without_signatures")
    ->Unit(benchmark::kMillisecond);

void CheckPayments(benchmark::State& state) {
    const Payments& payments = FiveHundred();
    for (auto _ : state) benchmark::DoNotOptimize(CheckBlock(payments.ledger.params, payments.block));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * payments.txs.size()));
}
BENCHMARK(CheckPayments)->Name("CheckBlock/500_payments")->Unit(benchmark::kMicrosecond);

// ---- encodings

void DecodeTransaction(benchmark::State& state) {
    const Bytes bytes = FiveHundred().txs[0]->tx().ToBytes();
    for (auto _ : state) benchmark::DoNotOptimize(MakeTransaction(*MutableTransaction::FromBytes(bytes)));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(DecodeTransaction)->Name("DecodeTransaction/with_hashes");

void DecodeBlock(benchmark::State& state) {
    const Bytes bytes = FiveHundred().block.ToBytes();
    for (auto _ : state) benchmark::DoNotOptimize(Block::FromBytes(bytes));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(DecodeBlock)->Name("DecodeBlock/500_payments")->Unit(benchmark::kMicrosecond);

void EncodeBlock(benchmark::State& state) {
    const Block& block = FiveHundred().block;
    for (auto _ : state) benchmark::DoNotOptimize(block.ToBytes());
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * block.ToBytes().size()));
}
BENCHMARK(EncodeBlock)->Name("EncodeBlock/500_payments")->Unit(benchmark::kMicrosecond);

void DecodePublish(benchmark::State& state) {
    PublishRecord record = ExamplePublish();
    record.description = std::string(1000, 'a');
    record.tags = {"one", "two", "three"};
    const Bytes bytes = EncodeRecord(record);
    for (auto _ : state) benchmark::DoNotOptimize(DecodeRecord(bytes));
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(DecodePublish)->Name("DecodeRecord/publish");

void Merkle(benchmark::State& state) {
    std::vector<Hash256> leaves(static_cast<size_t>(state.range(0)));
    for (size_t i = 0; i < leaves.size(); ++i) leaves[i] = crypto::Sha256Of(Encode(static_cast<uint64_t>(i)));
    for (auto _ : state) benchmark::DoNotOptimize(MerkleRoot(leaves));
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}
BENCHMARK(Merkle)->Name("MerkleRoot")->Arg(500)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::consensus
