#include <fmt/format.h>

#include "consensus/genesis.h"

namespace sluice::consensus {
namespace {

// BIP86 output keys of kRegtestPhrase without a passphrase: m/86'/1'/0'/0/0 and m/86'/1'/0'/0/1.
constexpr std::string_view kRegtestKey = "3b82b2b2a9185315da6f80da5f06d0440d8a5e1457fa93387c2d919c86ec8786";
constexpr std::string_view kRegtestStakeKey = "2befa14431d4cb71889ea1df7a7eaa2f1d8b9107e60b01564e15dabe5c0dfd32";
constexpr uint32_t kRegtestStakers = 3;
constexpr uint64_t kRegtestStakeSlu = 5'000'000;
constexpr uint64_t kRegtestCoins = 10;

// Slots of a second, f, epochs, k and the lock of 14 days are the defaults of Params (protocol.md §2).
Params MainParams() {
    Params params;
    params.network = "main";
    params.hrp = "slu";
    params.magic = {0xd9, 0x51, 0x1c, 0xe5};
    params.p2p_port = 9444;
    params.rpc_port = 9443;
    return params;
}

// As main, so that what is learnt here holds there.
Params TestParams() {
    Params params = MainParams();
    params.network = "test";
    params.hrp = "tslu";
    params.magic = {0xb7, 0x51, 0x1c, 0xe7};
    params.p2p_port = 14444;
    params.rpc_port = 14443;
    return params;
}

Params RegtestParams() {
    Params params;
    params.network = "regtest";
    params.hrp = "rslu";
    params.magic = {0xf3, 0x51, 0x1c, 0xe9};
    params.p2p_port = 19444;
    params.rpc_port = 19443;
    params.genesis_time = UnixMillis(seconds(1'767'225'600));  // 2026-01-01T00:00:00Z
    params.active_slots_numerator = 1;
    params.active_slots_denominator = 2;
    params.epoch_slots = 200;
    params.nonce_cutoff_slots = 80;
    params.k = 50;
    params.unbonding_slots = 2'000;
    params.refund_window_blocks = 120;
    params.superseded_grace_blocks = 20;
    params.channel_window_blocks = 200;
    return params;
}

Hash256 RegtestSeed(std::string_view what, uint32_t index) {
    Bytes input = ToBytes(AsBytes(what));
    const Bytes number = Encode(index);
    input.insert(input.end(), number.begin(), number.end());
    return crypto::TaggedHash("Sluice/regtest", input);
}

Genesis RegtestGenesis() {
    Genesis genesis;
    genesis.params = RegtestParams();
    genesis.first_nonce = RegtestSeed("nonce", 0);
    const XOnlyPubKey key = *XOnlyPubKey::FromHex(kRegtestKey);
    const Script plain = TaprootScript(key);
    for (uint32_t i = 0; i < kRegtestStakers; ++i) {
        const OperatorKeys keys = RegtestOperator(i);
        RegisterRecord record;
        record.vrf_key = crypto::VrfPublic(keys.vrf);
        record.signing_key = keys.signing.XOnly();
        record.payout_script = plain;
        genesis.stakers.push_back({keys.staker, record, plain});
    }
    const Amount stake(kRegtestStakeSlu * kDropsPerSlu);
    genesis.allocations.push_back({StakeScript(*XOnlyPubKey::FromHex(kRegtestStakeKey), genesis.stakers[0].id), stake});
    const uint64_t rest = kGenesisSupply.drops - stake.drops - kRegtestStakers * genesis.params.bond.drops;
    static_assert((kGenesisSupply.drops - kRegtestStakeSlu * kDropsPerSlu - kRegtestStakers * Params().bond.drops) %
                      kRegtestCoins ==
                  0);
    for (uint64_t i = 0; i < kRegtestCoins; ++i) genesis.allocations.push_back({plain, Amount(rest / kRegtestCoins)});
    return genesis;
}

}  // namespace

OperatorKeys RegtestOperator(uint32_t index) {
    const Hash256 id = RegtestSeed("staker", index);
    auto signing = crypto::SecretKey::FromBytes(RegtestSeed("signing", index).bytes);
    CHECK(signing.has_value());  // fails for one hash in 2^127
    return {StakerId::FromSpan(std::span(id.bytes).first<8>()), crypto::VrfSecretKey(RegtestSeed("vrf", index).bytes),
            std::move(*signing)};
}

Params BuiltInParams(std::string_view network) {
    if (network == "main") return MainParams();
    if (network == "test") return TestParams();
    CHECK(network == "regtest");
    return RegtestParams();
}

Result<Genesis> BuiltInGenesis(std::string_view network) {
    if (network == "regtest") return RegtestGenesis();
    if (network == "main" || network == "test")
        return Fail(ErrorKind::kUnavailable,
                    fmt::format("the network '{}' has not started yet: use -chain=regtest, or start a network of your "
                                "own with -chain=custom -genesis=FILE",
                                network));
    return Fail(fmt::format("there is no built-in network '{}': use -chain=regtest, or -chain=custom -genesis=FILE",
                            network.substr(0, 40)));
}

}  // namespace sluice::consensus
