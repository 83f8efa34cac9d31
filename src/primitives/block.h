#pragma once

#include <memory>
#include <vector>

#include "crypto/vrf.h"
#include "primitives/ids.h"
#include "primitives/transaction.h"

namespace sluice {

inline constexpr size_t kMaxBlockBytes = kMaxBlockWeight;
inline constexpr size_t kMaxBlockTransactions = kMaxBlockWeight / (60 * kWitnessScaleFactor);

// A block header, 296 bytes on the wire.
struct BlockHeader {
    int32_t version{1};
    BlockHash prev;
    Hash256 tx_root;       // Merkle root of the txids
    Hash256 witness_root;  // Merkle root of the wtxids, the coinbase's taken as it is
    Slot slot;
    Height height;
    StakerId staker;
    crypto::VrfProof vrf_proof;
    Hash256 commitment;  // taggedhash(certificate hash || hash of the stake snapshot taken at this epoch's start)
    SchnorrSignature signature;  // by the staker's signing key, over SigningHash

    friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
    static void Serialize(auto& self, auto& archive) {
        SerializeUnsigned(self, archive);
        archive(self.signature);
    }
    static void SerializeUnsigned(auto& self, auto& archive) {
        archive(self.version, self.prev, self.tx_root, self.witness_root, self.slot, self.height, self.staker,
                self.vrf_proof, self.commitment);
    }

    // taggedhash("Sluice/block", all fields, the signature too: a copy with another signature is another block).
    BlockHash Hash() const;
    // taggedhash("Sluice/header", genesis || all fields but the signature): what the staker signs. The genesis hash
    // keeps signatures from being replayed on another network.
    Hash256 SigningHash(const BlockHash& genesis) const;
};

inline constexpr size_t kBlockHeaderBytes = 4 + 32 + 32 + 32 + 8 + 4 + 8 + 80 + 32 + 64;

struct Block {
    BlockHeader header;
    std::vector<TransactionRef> transactions;

    Bytes ToBytes() const;
    // Exactly one block of at most kMaxBlockBytes plus its header. Decodes only: no rule is checked.
    static Result<Block> FromBytes(ByteSpan bytes);
    size_t weight() const;
};

using BlockRef = std::shared_ptr<const Block>;

// The Merkle root of a block's hashes: inner nodes are taggedhash("Sluice/merkle", left || right), an odd node is
// carried up unpaired (no duplication, so no two lists share a root), the root of none is all zeros.
Hash256 MerkleRoot(std::vector<Hash256> leaves);
Hash256 TxMerkleRoot(const std::vector<TransactionRef>& transactions);
Hash256 WitnessMerkleRoot(const std::vector<TransactionRef>& transactions);

}  // namespace sluice
