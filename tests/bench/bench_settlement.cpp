#include <benchmark/benchmark.h>

#include "chain/mempool.h"
#include "content/settlement_ledger.h"

// Settling 500 channels at once: built, signed and verified by the payee, and taken by a mempool.

namespace sluice::content {
namespace {

using consensus::testing::KeyScript;
using consensus::testing::Ledger;

void SettleChannels(benchmark::State& state) {
    Ledger ledger;
    const auto channels =
        testing::VouchedChannels(ledger, static_cast<size_t>(state.range(0)), Amount(1'000'000), Amount(400'000));
    consensus::HeaderState tip;
    tip.height = ledger.height;
    tip.slot = ledger.slot;
    tip.epoch = ledger.params.EpochOf(ledger.slot);
    size_t weight = 0;
    for (auto _ : state) {
        const auto settlement = BuildSettlement(ledger.params, testing::kLedgerGenesis, channels, testing::LedgerSeed(),
                                                KeyScript(7), Amount(2'000));
        CHECK(settlement.has_value());
        chain::Mempool mempool(ledger.params, ledger.state, tip, consensus::RunSpendsInOrder);
        const auto tx = MakeTransaction(settlement->tx);
        CHECK(mempool.Accept(tx, UnixMillis()).has_value());
        weight = tx->weight();
    }
    state.counters["weight"] = static_cast<double>(weight);
}
BENCHMARK(SettleChannels)->Name("Settle/channels")->Arg(1)->Arg(500)->Unit(benchmark::kMillisecond);

void MakeVoucher(benchmark::State& state) {
    Ledger ledger;
    const auto channels = testing::VouchedChannels(ledger, 1, Amount(1'000'000), Amount(400'000));
    const crypto::SecretKey payer = consensus::testing::TestKey(1);
    uint64_t returned = 600'000;
    for (auto _ : state) benchmark::DoNotOptimize(SignVoucher(channels[0].lock, payer, Amount(--returned)));
}
BENCHMARK(MakeVoucher)->Name("SignVoucher")->Unit(benchmark::kMicrosecond);

void TakeVoucher(benchmark::State& state) {
    Ledger ledger;
    const auto channels = testing::VouchedChannels(ledger, 1, Amount(1'000'000), Amount(400'000));
    const auto voucher = SignVoucher(channels[0].lock, consensus::testing::TestKey(1), Amount(600'000));
    for (auto _ : state) CHECK(VerifyVoucher(channels[0].lock, *voucher).has_value());
}
BENCHMARK(TakeVoucher)->Name("VerifyVoucher")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sluice::content
