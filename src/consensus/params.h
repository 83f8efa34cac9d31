#pragma once

#include <string>

#include "primitives/block.h"
#include "util/clock.h"

namespace sluice::consensus {

inline constexpr uint16_t kMaxCommissionPermille = 100;

// The constants of a network. The genesis coinbase commits to all of them.
struct Params {
    std::string network;             // "main", "test", "regtest", or a custom network's own name
    std::string hrp;                 // address prefix
    std::array<uint8_t, 4> magic{};  // first bytes of every connection
    uint16_t p2p_port{0};
    uint16_t rpc_port{0};

    UnixMillis genesis_time{};
    milliseconds slot_duration{1000};
    uint32_t active_slots_numerator{1};  // f, the chance that a slot has a leader when all stake is online
    uint32_t active_slots_denominator{10};
    uint64_t epoch_slots{43'200};
    uint64_t nonce_cutoff_slots{17'280};  // the last slots of an epoch, whose blocks do not feed the nonce
    uint32_t k{432};                      // depth of a reorg that a caught-up node still follows; coinbase maturity

    uint64_t subsidy_numerator{1375};  // share of the reserve that an epoch mints
    uint64_t subsidy_denominator{10'000'000};

    Amount record_fee_per_byte{10};  // burned
    Amount anchor_per_byte{100};     // least deposit of a claim for each byte of its record
    Amount bond{1'000 * kDropsPerSlu};
    uint64_t unbonding_slots{14 * 86'400};
    uint32_t refund_window_blocks{10'000};    // least blocks from a purchase to its refund height
    uint32_t superseded_grace_blocks{1'000};  // how long a replaced or retired publish can still be bought
    uint32_t channel_window_blocks{259'200};  // least blocks from a channel's opening to its expiry (30 days)

    uint64_t ExpectedEpochBlocks() const { return epoch_slots * active_slots_numerator / active_slots_denominator; }
    Epoch EpochOf(Slot slot) const { return Epoch(slot.value / epoch_slots); }
    Slot FirstSlot(Epoch epoch) const { return Slot(epoch.value * epoch_slots); }
    UnixMillis SlotTime(Slot slot) const { return genesis_time + slot_duration * static_cast<int64_t>(slot.value); }
    // The slot that `now` lies in; nullopt before genesis.
    std::optional<Slot> SlotAt(UnixMillis now) const {
        if (now < genesis_time) return std::nullopt;
        return Slot(static_cast<uint64_t>((now - genesis_time) / slot_duration));
    }
    // Seconds since the Unix epoch at the start of `slot`: what lock times compare with.
    uint64_t SlotSeconds(Slot slot) const {
        return static_cast<uint64_t>(std::chrono::duration_cast<seconds>(SlotTime(slot).time_since_epoch()).count());
    }
};

// How many blocks deep a transaction must be to be built upon, until the finality gadget says it: 1 for amounts a
// reorganisation is not worth, up to k (protocol.md, key sale). The same for purchases and channels.
uint32_t ConfirmationsFor(const Params& params, Amount amount);

}  // namespace sluice::consensus
