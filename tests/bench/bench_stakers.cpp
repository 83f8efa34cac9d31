#include <benchmark/benchmark.h>

#include "consensus/staker_fixture.h"

// What many stakers cost. 21,000 is as many as the supply has bonds.

namespace sluice::consensus {
namespace {

using namespace testing;

StakerId NthId(uint32_t n) {
    StakerId id;
    for (size_t i = 0; i < 4; ++i) id.bytes[i] = static_cast<uint8_t>(n >> (8 * (3 - i)));
    return id;
}

struct ManyStakers {
    explicit ManyStakers(uint32_t count) {
        StakerList list;
        for (uint32_t n = 1; n <= count; ++n) {
            StakerState staker;
            staker.payout_script = KeyScript(1);
            staker.stake.Add(Slu(400), kGenesisStakeEpoch);
            list.ids.push_back(NthId(n));
            chain.state.Put(NthId(n), staker);
        }
        chain.state.Put({}, list);
        chain.Start();
        chain.Prepare(Slot(1), NthId(1));
        register_tx = chain.Register(1);
        block = chain.MakeBlock({});
        registering = chain.MakeBlock({register_tx});
    }
    StakerChain chain;
    TransactionRef register_tx;
    Block block, registering;
};
const ManyStakers& Stakers() {
    static const auto* stakers = new ManyStakers(21'000);
    return *stakers;
}

void Snapshot(benchmark::State& state) {
    const ManyStakers& stakers = Stakers();
    for (auto _ : state) benchmark::DoNotOptimize(TakeSnapshot(stakers.chain.state, BlockHash(), Epoch(0)));
}
BENCHMARK(Snapshot)->Name("TakeSnapshot/21000_stakers")->Unit(benchmark::kMillisecond);

void HashSnapshot(benchmark::State& state) {
    const StakeSnapshot snapshot = TakeSnapshot(Stakers().chain.state, BlockHash(), Epoch(0));
    for (auto _ : state) benchmark::DoNotOptimize(snapshot.Hash());
}
BENCHMARK(HashSnapshot)->Name("SnapshotHash/21000_stakers")->Unit(benchmark::kMillisecond);

void Connect(benchmark::State& state, bool registers) {
    const ManyStakers& stakers = Stakers();
    const Block& block = registers ? stakers.registering : stakers.block;
    const SpendRunner skip = [](std::span<const SpendCheck>) { return Verdict<void>(); };
    for (auto _ : state) {
        if (!stakers.chain.Try(block, skip)) state.SkipWithError("the block is not valid");
    }
}
BENCHMARK_CAPTURE(Connect, empty, false)->Name("ConnectBlock/empty_of_21000_stakers")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Connect, registers, true)
    ->Name("ConnectBlock/one_registration_of_21000_stakers")
    ->Unit(benchmark::kMicrosecond);

void Accrued(benchmark::State& state) {
    MapState entries;
    const auto count = static_cast<uint32_t>(state.range(0));
    std::array<uint8_t, 32> value{};
    for (uint32_t n = 0; n < count; ++n) {
        value[8] = static_cast<uint8_t>(n);
        entries.Put({Id(1), n}, RewardHistory{Epoch(n + 3), value});
    }
    StakerState staker;
    staker.reward_entries = count;
    staker.reward_epoch = Epoch(count + 3);
    staker.reward_per_drop = value;
    entries.Put(Id(1), staker);
    Params params;
    const Coin coin{{Slu(100), StakeScript(OutputKey(1), Id(1))},
                    Height(1),
                    params.FirstSlot(Epoch(count / 3)),
                    false,
                    CoinKind::kPlain};
    for (auto _ : state) benchmark::DoNotOptimize(AccruedReward(params, entries, coin, Epoch(count)));
}
BENCHMARK(Accrued)->Name("AccruedReward/epochs")->Arg(10)->Arg(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::consensus
