#pragma once

#include "consensus/block_rules.h"

namespace sluice::consensus {

inline constexpr size_t kMaxGenesisOutputs = 2'000;  // allocations and stakers together

struct GenesisAllocation {
    Script script;  // taproot or stake output
    Amount amount;

    friend bool operator==(const GenesisAllocation&, const GenesisAllocation&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive.VarBytes(self.script, kMaxPayoutScriptBytes);
        archive(self.amount);
    }
};
struct GenesisStaker {
    StakerId id;
    RegisterRecord keys;
    Script bond_script;  // the bond comes out of the allocations' total too

    friend bool operator==(const GenesisStaker&, const GenesisStaker&) = default;
};

// A network as it starts: parameters, money and the first stakers.
struct Genesis {
    Params params;
    Hash256 first_nonce;  // η0
    std::vector<GenesisAllocation> allocations;
    std::vector<GenesisStaker> stakers;

    // The genesis block. Its coinbase has one output for each allocation, then one for each bond; its input's script is
    // one push of taggedhash("Sluice/genesis", everything above). Its header has no staker, proof, commitment or
    // signature (all zeros). Precondition of all four: CheckGenesis passes.
    Block MakeBlock() const;
    BlockHash Hash() const { return MakeBlock().header.Hash(); }
    HeaderState MakeHeaderState() const;
    // The state after genesis.
    StateDelta MakeState() const;
};

// Overlaps and overflows: one clear reason.
Status CheckGenesis(const Genesis& genesis);
// CheckGenesis, and that the network can run beside every other: its name, address prefix and magic are none of a
// built-in network's, its name is fit for a folder, and it has two ports.
Status CheckCustomGenesis(const Genesis& genesis);

// The built-in network: "regtest". "main" and "test" have not started, and say so.
Result<Genesis> BuiltInGenesis(std::string_view network);

inline constexpr std::array<std::string_view, 3> kBuiltInNetworks{"main", "test", "regtest"};
// Their parameters; the genesis time of main and test is not decided, and 0. Precondition: one of kBuiltInNetworks.
Params BuiltInParams(std::string_view network);

// regtest's money and operator keys come from public seeds, so that anyone can stake and spend on it:
// coins belong to the BIP86 account 0 of the BIP39 phrase "abandon abandon ... about" (kRegtestPhrase).
inline constexpr std::string_view kRegtestPhrase =
    "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";
// Indexes 0, 1 and 2 are staked at genesis: 0 has all the stake, 1 and 2 only their bonds. Any other index is free to
// register.
OperatorKeys RegtestOperator(uint32_t index);

}  // namespace sluice::consensus
