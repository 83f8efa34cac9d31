#include <benchmark/benchmark.h>

#include <thread>

#include "chain/chain_test_util.h"

namespace sluice::chain {
namespace {

constexpr uint32_t kHeaders = 2'000;  // one message

HeaderRunner OnThreads(size_t threads) {
    return [threads](size_t count, const std::function<void(size_t)>& task) {
        std::atomic<size_t> next{0};
        const auto work = [&] {
            for (size_t i = next++; i < count; i = next++) task(i);
        };
        std::vector<std::jthread> others;
        for (size_t i = 1; i < threads; ++i) others.emplace_back(work);
        work();
    };
}

// A network whose staker leads every slot, in epochs so long that genesis elects all of the headers.
consensus::Genesis HeaderGenesis() {
    consensus::Genesis genesis = TestGenesis();
    genesis.params.active_slots_numerator = genesis.params.active_slots_denominator = 1;
    genesis.params.epoch_slots = 2 * kHeaders;
    genesis.params.nonce_cutoff_slots = kHeaders;
    return genesis;
}

const std::vector<BlockHeader>& Headers() {
    static const auto headers = [] {
        const consensus::Genesis genesis = HeaderGenesis();
        const consensus::OperatorKeys keys = consensus::RegtestOperator(0);
        const Hash256 nonce = genesis.MakeHeaderState().nonce;
        std::vector<BlockHeader> made;
        for (uint32_t i = 1; i <= kHeaders; ++i) {
            BlockHeader header;
            header.prev = made.empty() ? genesis.Hash() : made.back().Hash();
            header.height = Height(i);
            header.slot = Slot(i);
            header.staker = keys.staker;
            header.vrf_proof = crypto::VrfProve(keys.vrf, consensus::VrfAlpha(nonce, header.slot));
            header.signature = keys.signing.Sign(header.SigningHash(genesis.Hash()));
            made.push_back(header);
        }
        return made;
    }();
    return headers;
}

void HeaderBatch(benchmark::State& state) {
    const std::vector<BlockHeader>& headers = Headers();
    for (auto _ : state) {
        state.PauseTiming();
        ChainOptions options;
        options.header_runner = OnThreads(static_cast<size_t>(state.range(0)));
        auto node = std::make_unique<TestNode>(1, std::move(options), HeaderGenesis());
        const UnixMillis now = node->params().SlotTime(Slot(kHeaders));
        state.ResumeTiming();
        const auto taken = node->chain().ProcessHeaders(headers, now);
        if (!taken || taken->accepted != kHeaders) state.SkipWithError("a header was refused");
        state.PauseTiming();
        node.reset();
        state.ResumeTiming();
    }
    state.counters["headers/s"] = benchmark::Counter(
        static_cast<double>(kHeaders) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(HeaderBatch)
    ->Name("ProcessHeaders/threads")
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The same, none of them signed: what a flood costs us.
void HeaderFlood(benchmark::State& state) {
    std::vector<BlockHeader> headers = Headers();
    headers[0].signature.bytes[40] ^= 1;
    for (size_t i = 1; i < headers.size(); ++i) headers[i].prev = headers[i - 1].Hash();
    TestNode node(1, {}, HeaderGenesis());
    const UnixMillis now = node.params().SlotTime(Slot(kHeaders));
    for (auto _ : state) {
        const auto taken = node.chain().ProcessHeaders(headers, now);
        if (!taken || taken->accepted != 0) state.SkipWithError("a header was taken");
    }
    state.counters["headers/s"] = benchmark::Counter(
        static_cast<double>(kHeaders) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(HeaderFlood)->Name("ProcessHeaders/flood")->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice::chain
