#pragma once

#include "consensus/genesis.h"

// The file that a custom network starts from (-chain=custom -genesis=FILE):
//
//     "Sluice genesis 1\n" | the fields, as EncodeGenesisFields gives them | the genesis block's hash (32)
//
// Rationale: these are the bytes that the genesis hash commits to, so that a file has one spelling, there is no field
// to repeat or to add, and who compares hashes compares networks. The hash at the end tells a damaged file from another
// network. `sluice-util genesis` makes one from JSON, `sluice-util genesis-show` prints it.

namespace sluice::consensus {

inline constexpr std::string_view kCustomChain = "custom";  // of -chain: the network is the one of a genesis file
inline constexpr std::string_view kGenesisFileHeader = "Sluice genesis 1\n";
inline constexpr size_t kMaxGenesisFileBytes = 1 << 20;

// Every parameter in the order of its declaration, the first nonce, the allocations and the stakers. Precondition:
// CheckGenesis passes.
Bytes EncodeGenesisFields(const Genesis& genesis);

// Precondition: CheckCustomGenesis passes.
Bytes EncodeGenesisFile(const Genesis& genesis);
// A network that CheckCustomGenesis passes; encodes to the same bytes again.
Result<Genesis> DecodeGenesisFile(ByteSpan bytes);

}  // namespace sluice::consensus
