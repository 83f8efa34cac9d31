#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "consensus/genesis.h"

// The JSON that a network's makers write, from which `sluice-util genesis` makes a genesis file:
//
//     {
//       "parameters": {"network": "mynet", "hrp": "my", "magic": "01020304", … every field of consensus::Params},
//       "first_nonce": 64 hex digits, or "nonce_text": a public text whose hash it is,
//       "allocations": [{"to": address or script, "amount": "12.5", "staker": id or position, if it is staked}, …],
//       "stakers": [{"vrf_key": hex, "signing_key": hex, "commission_permille": 50, "payout": address or script,
//                    "bond": address or script, "id": 16 hex digits, else derived from the VRF key}, …]
//     }
//
// Money is in SLU, as a string. A field that is unknown, missing or repeated, or of another type, is refused by name.

namespace sluice::apps {

using OrderedJson = nlohmann::ordered_json;

inline constexpr size_t kMaxGenesisJsonBytes = 4 << 20;

// JSON without repeated fields, at most 16 levels deep.
Result<OrderedJson> ParseStrictJson(std::string_view text);

// Not checked yet for overlaps and overflows: that is CheckCustomGenesis's.
Result<consensus::Genesis> GenesisFromJson(const OrderedJson& json);
// What GenesisFromJson turns into the same network again. Precondition: CheckGenesis passes.
OrderedJson GenesisToJson(const consensus::Genesis& genesis);
// Hash, identity, counts and totals. Precondition: CheckGenesis passes.
OrderedJson GenesisSummary(const consensus::Genesis& genesis);

// The id of a staker that genesis registers, unless it is given one: the first 8 bytes of
// taggedhash("Sluice/genesis staker", VRF key).
StakerId GenesisStakerId(const crypto::VrfPublicKey& vrf_key);

// A staker's public keys, as `sluice-util staker-keys` prints them.
struct StakerPublicKeys {
    std::optional<StakerId> id;
    crypto::VrfPublicKey vrf_key;
    XOnlyPubKey signing_key;
};
OrderedJson StakerKeysToJson(const StakerPublicKeys& keys);
Result<StakerPublicKeys> StakerKeysFromJson(const OrderedJson& json, const std::string& where);

struct TemplateOptions {
    std::string like;  // the built-in network whose parameters it takes
    std::string name;
    std::string hrp;                        // empty: the name's beginning
    std::vector<StakerPublicKeys> stakers;  // each has its part of half the supply staked with it
    std::string owner;                      // address or script of everything; empty only if there are no stakers
    int64_t genesis_time_ms{0};
};
// A JSON to start from; magic and ports are derived from the name.
Result<OrderedJson> GenesisTemplate(const TemplateOptions& options);

}  // namespace sluice::apps
