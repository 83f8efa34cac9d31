#include <benchmark/benchmark.h>

#include <time.h>

#include <chrono>

#include "chain/chain_test_util.h"
#include "storage/temp_folder.h"

namespace sluice::chain {
namespace {

constexpr size_t kPayments = 500;
constexpr size_t kFullBlocks = 8;

double CpuSeconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Spends every output of `from` that is the owner's, each in a payment of its own.
std::vector<TransactionRef> SpendEach(const TransactionRef& from) {
    std::vector<TransactionRef> result;
    for (uint32_t i = 0; i < from->outputs().size(); ++i)
        result.push_back(Pay(from->Output(i), from->outputs()[i], Amount(1'000)));
    return result;
}

// A node whose tip has `kPayments` coins to spend, and transactions that spend them.
struct Funded {
    Funded() {
        fan_out = node.PayGenesisCoin(0, Amount(100'000), kPayments);
        CHECK(node.Code(fan_out).empty());
        node.Mine();
        payments = SpendEach(fan_out);
    }
    TestNode node;
    TransactionRef fan_out;
    std::vector<TransactionRef> payments;
};

// The blocks of a chain: one that fans out, then kFullBlocks of kPayments payments each.
struct Chain {
    Chain() {
        Funded funded;
        blocks.push_back(*funded.node.chain().GetBlockAt(Height(1)));
        std::vector<TransactionRef> txs = funded.payments;
        for (size_t i = 0; i < kFullBlocks; ++i) {
            for (const TransactionRef& tx : txs) CHECK(funded.node.Code(tx).empty());
            blocks.push_back(funded.node.Mine());
            CHECK(blocks.back()->transactions.size() == kPayments + 1);
            std::vector<TransactionRef> next;
            for (const TransactionRef& tx : txs) next.push_back(Pay(tx->Output(0), tx->outputs()[0], Amount(1'000)));
            txs = std::move(next);
        }
        now = funded.node.now;
    }
    std::vector<BlockRef> blocks;
    UnixMillis now;
};
const Chain& TheChain() {
    static const auto* chain = new Chain;
    return *chain;
}

// Header check, block file, rules, signatures, undo data, indexes and the state's batch, for each block of payments;
// the flush at the end too.
void ConnectChain(benchmark::State& state, bool on_disk) {
    const Chain& chain = TheChain();
    double cpu_seconds = 0;
    for (auto _ : state) {
        TempFolder folder;
        storage::MemoryDisk memory(1);
        const auto posix = storage::MakePosixFileSystem();
        auto node =
            ChainManager::Open(on_disk ? *posix : memory.files(), on_disk ? folder.path() : "/node", TestGenesis());
        CHECK(node.has_value());
        CHECK((*node)->ProcessBlock(chain.blocks[0], chain.now)->what == BlockResult::What::kConnected);
        const auto start = std::chrono::steady_clock::now();
        const double cpu_start = CpuSeconds();
        for (size_t i = 1; i < chain.blocks.size(); ++i) {
            CHECK((*node)->ProcessBlock(chain.blocks[i], chain.now)->what == BlockResult::What::kConnected);
        }
        CHECK((*node)->Flush().has_value());
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
                               kFullBlocks);
        cpu_seconds += CpuSeconds() - cpu_start;
    }
    state.counters["cpu_ms"] = cpu_seconds * 1e3 / static_cast<double>(state.iterations() * kFullBlocks);
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kPayments));
}
BENCHMARK_CAPTURE(ConnectChain, memory, false)
    ->Name("ProcessBlock/500_payments/memory")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(ConnectChain, disk, true)
    ->Name("ProcessBlock/500_payments/leveldb")
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

void MempoolAccept(benchmark::State& state) {
    Funded funded;
    const auto others = static_cast<size_t>(state.range(0));
    for (size_t i = 0; i < others; ++i) CHECK(funded.node.Code(funded.payments[i]).empty());
    const TransactionRef& tx = funded.payments.back();
    for (auto _ : state) {
        const auto accepted = funded.node.chain().AcceptTransaction(tx, funded.node.now, true);
        if (!accepted || !*accepted) state.SkipWithError("not accepted");
    }
}
BENCHMARK(MempoolAccept)->Name("MempoolAccept/others")->Arg(0)->Arg(499);

// Lottery, template, coinbase, signature and the check of what was made, from a mempool of kPayments.
void Produce(benchmark::State& state) {
    Funded funded;
    for (const TransactionRef& tx : funded.payments) CHECK(funded.node.Code(tx).empty());
    const auto slot =
        funded.node.chain().NextWonSlot(funded.node.keys(), funded.node.chain().tip()->state.slot + 1, 1000);
    CHECK(slot && *slot);
    for (auto _ : state) {
        const auto block = funded.node.chain().ProduceBlock(funded.node.keys(), **slot);
        if (!block || (*block)->transactions.size() != kPayments + 1) state.SkipWithError("not the block expected");
    }
    state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kPayments));
}
BENCHMARK(Produce)->Name("ProduceBlock/500_payments")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::chain
