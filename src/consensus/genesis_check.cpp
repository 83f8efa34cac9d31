#include <fmt/format.h>

#include <set>

#include "consensus/genesis_file.h"

namespace sluice::consensus {
namespace {

constexpr size_t kMaxNameBytes = 32;
constexpr uint64_t kMaxEpochSlots = 1'000'000'000;
constexpr uint32_t kMaxActiveSlotsDenominator = 1'000;  // LeaderThreshold's error bound and cost rest on both
constexpr uint32_t kMaxWindowBlocks = 100'000'000;      // heights plus a window stay far below kMaxLockHeight's end
constexpr int64_t kMaxGenesisTimeMs = int64_t{4'102'444'800} * 1000;  // the year 2100
constexpr int64_t kMaxSlotDurationMs = 3'600'000;

bool IsName(std::string_view text) {
    return !text.empty() && text.size() <= kMaxNameBytes && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Status CheckRange(std::string_view field, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return {};
    return Fail(fmt::format("genesis: {} is {}, it must be from {} to {}", field, value, least, most));
}
Status CheckRange(std::string_view field, Amount value, Amount least, Amount most) {
    if (value >= least && value <= most) return {};
    return Fail(
        fmt::format("genesis: {} is {} drops, it must be from {} to {}", field, value.drops, least.drops, most.drops));
}
// For unsigned fields, whose upper half must not turn negative.
Status CheckRange(std::string_view field, uint64_t value, uint64_t least, uint64_t most) {
    if (value >= least && value <= most) return {};
    return Fail(fmt::format("genesis: {} is {}, it must be from {} to {}", field, value, least, most));
}

Status CheckTime(const Params& params) {
    RETURN_IF_ERROR(CheckRange("genesis_time (ms)", int64_t{params.genesis_time.time_since_epoch().count()}, int64_t{0},
                               kMaxGenesisTimeMs));
    return CheckRange("slot_duration (ms)", int64_t{params.slot_duration.count()}, int64_t{1}, kMaxSlotDurationMs);
}

Status CheckElection(const Params& params) {
    const uint64_t a = params.active_slots_numerator;
    const uint64_t d = params.active_slots_denominator;
    RETURN_IF_ERROR(CheckRange("active_slots_denominator", d, 1, kMaxActiveSlotsDenominator));
    if (a == 0 || (a != d && 10 * a > 9 * d))
        return Fail(fmt::format("genesis: active_slots {}/{} must be over 0 and at most 9/10, or 1", a, d));
    RETURN_IF_ERROR(CheckRange("epoch_slots", params.epoch_slots, 1, kMaxEpochSlots));
    RETURN_IF_ERROR(CheckRange("nonce_cutoff_slots", params.nonce_cutoff_slots, 0, params.epoch_slots - 1));
    if (params.ExpectedEpochBlocks() == 0)
        return Fail("genesis: epoch_slots times active_slots must be at least one block");
    return CheckRange("k", uint64_t{params.k}, uint64_t{1}, uint64_t{kMaxWindowBlocks});
}

Status CheckParams(const Params& params) {
    if (!IsName(params.network))
        return Fail(fmt::format("genesis: network must be 1 to {} of a-z, 0-9 and -", kMaxNameBytes));
    if (!IsName(params.hrp)) return Fail(fmt::format("genesis: hrp must be 1 to {} of a-z, 0-9 and -", kMaxNameBytes));
    RETURN_IF_ERROR(CheckTime(params));
    RETURN_IF_ERROR(CheckElection(params));
    RETURN_IF_ERROR(CheckRange("subsidy_denominator", params.subsidy_denominator, 1, uint64_t{1'000'000'000}));
    RETURN_IF_ERROR(CheckRange("subsidy_numerator", params.subsidy_numerator, 0, params.subsidy_denominator));
    RETURN_IF_ERROR(CheckRange("record_fee_per_byte", params.record_fee_per_byte, Amount(0), Amount(kDropsPerSlu)));
    RETURN_IF_ERROR(CheckRange("anchor_per_byte", params.anchor_per_byte, Amount(0), Amount(kDropsPerSlu)));
    RETURN_IF_ERROR(CheckRange("bond", params.bond, Amount(1), kGenesisSupply));
    RETURN_IF_ERROR(CheckRange("unbonding_slots", params.unbonding_slots, 0, kMaxEpochSlots));
    RETURN_IF_ERROR(CheckRange("refund_window_blocks", uint64_t{params.refund_window_blocks}, 1, kMaxWindowBlocks));
    RETURN_IF_ERROR(
        CheckRange("superseded_grace_blocks", uint64_t{params.superseded_grace_blocks}, 0, kMaxWindowBlocks));
    return CheckRange("channel_window_blocks", uint64_t{params.channel_window_blocks}, 1, kMaxWindowBlocks);
}

// A taproot or stake output that somebody may be able to spend.
Result<OutputScript> CheckOutput(const std::string& field, const Script& script) {
    const auto output = ParseOutputScript(script);
    if (!output || output->kind == OutputKind::kRecord)
        return Fail("genesis: " + field + " must be a taproot or stake output");
    if (!crypto::IsOnCurve(output->key)) return Fail("genesis: the key of " + field + " is not a point on the curve");
    return *output;
}

Status CheckStaker(const GenesisStaker& staker) {
    const std::string name = "staker " + staker.id.Hex();
    if (staker.keys.updates)
        return Fail("genesis: " + name + " updates a registration, but there is none before genesis");
    if (!crypto::VrfKeyIsValid(staker.keys.vrf_key)) return Fail("genesis: the VRF key of " + name + " is not valid");
    if (!crypto::IsOnCurve(staker.keys.signing_key))
        return Fail("genesis: the signing key of " + name + " is not a point on the curve");
    if (staker.keys.commission_permille > kMaxCommissionPermille)
        return Fail(fmt::format("genesis: the commission of {} is {} permille, the limit is {}", name,
                                staker.keys.commission_permille, kMaxCommissionPermille));
    RETURN_IF_ERROR(CheckOutput("the payout of " + name, staker.keys.payout_script));
    ASSIGN_OR_RETURN(const OutputScript bond, CheckOutput("the bond of " + name, staker.bond_script));
    if (bond.kind != OutputKind::kTaproot)
        return Fail("genesis: the bond of " + name + " must be a taproot output: a bond is not stake");
    return {};
}

Status CheckStakers(const Genesis& genesis, std::set<StakerId>& ids) {
    std::set<crypto::VrfPublicKey> vrf_keys;
    for (const GenesisStaker& staker : genesis.stakers) {
        if (!ids.insert(staker.id).second) return Fail("genesis: two stakers have the id " + staker.id.Hex());
        RETURN_IF_ERROR(CheckStaker(staker));
        if (!vrf_keys.insert(staker.keys.vrf_key).second)
            return Fail("genesis: the VRF key of staker " + staker.id.Hex() + " is another staker's too");
    }
    return {};
}

}  // namespace

Status CheckGenesis(const Genesis& genesis) {
    RETURN_IF_ERROR(CheckParams(genesis.params));
    if (genesis.stakers.empty()) return Fail("genesis: there is no staker, so no block could ever be made: add one");
    if (genesis.allocations.size() + genesis.stakers.size() > kMaxGenesisOutputs)
        return Fail(fmt::format("genesis: allocations and stakers are {} together, the limit is {}",
                                genesis.allocations.size() + genesis.stakers.size(), kMaxGenesisOutputs));
    std::set<StakerId> ids;
    RETURN_IF_ERROR(CheckStakers(genesis, ids));
    Amount total;
    const auto add = [&](Amount amount) {
        const auto sum = Add(total, amount);
        total = sum.value_or(kMaxSupply);
        return total <= kGenesisSupply;
    };
    bool fits = true;
    for (size_t i = 0; i < genesis.allocations.size(); ++i) {
        const GenesisAllocation& allocation = genesis.allocations[i];
        const std::string name = fmt::format("allocation {}", i);
        if (allocation.amount.drops == 0) return Fail("genesis: the amount of " + name + " is 0");
        ASSIGN_OR_RETURN(const OutputScript output, CheckOutput(name, allocation.script));
        if (output.kind == OutputKind::kStake && !ids.contains(output.staker))
            return Fail("genesis: " + name + " stakes to " + output.staker.Hex() + ", which is none of the stakers");
        fits = add(allocation.amount) && fits;
    }
    for (size_t i = 0; i < genesis.stakers.size(); ++i) fits = add(genesis.params.bond) && fits;
    if (!fits)
        return Fail(fmt::format("genesis: allocations and bonds are over the genesis supply of {} SLU",
                                FormatSlu(kGenesisSupply)));
    return {};
}

Status CheckCustomGenesis(const Genesis& genesis) {
    RETURN_IF_ERROR(CheckGenesis(genesis));
    const Params& params = genesis.params;
    // The name is a folder's and a section's of sluice.conf; -chain=custom means a file.
    if (params.network.front() < 'a' || params.network.front() > 'z')
        return Fail(fmt::format("genesis: network '{}' must begin with a letter", params.network));
    if (params.network == kCustomChain) return Fail("genesis: network must not be 'custom': give it a name of its own");
    for (const std::string_view name : kBuiltInNetworks) {
        const Params built_in = BuiltInParams(name);
        if (params.network == name)
            return Fail(fmt::format("genesis: network '{}' is built in: choose another name", name));
        if (params.hrp == built_in.hrp)
            return Fail(fmt::format("genesis: hrp '{}' is that of '{}': choose another", params.hrp, name));
        if (params.magic == built_in.magic)
            return Fail(
                fmt::format("genesis: magic {} is that of '{}': choose another", HexEncode(params.magic), name));
    }
    RETURN_IF_ERROR(CheckRange("p2p_port", uint64_t{params.p2p_port}, uint64_t{1}, uint64_t{65535}));
    RETURN_IF_ERROR(CheckRange("rpc_port", uint64_t{params.rpc_port}, uint64_t{1}, uint64_t{65535}));
    if (params.p2p_port == params.rpc_port)
        return Fail(fmt::format("genesis: p2p_port and rpc_port are both {}: choose two", params.p2p_port));
    // A staker that exits elects for up to two epochs more, and its bond has to answer for the last slot of them too:
    // an epoch is left for the evidence.
    return CheckRange("unbonding_slots", params.unbonding_slots, 3 * params.epoch_slots, kMaxEpochSlots);
}

}  // namespace sluice::consensus
