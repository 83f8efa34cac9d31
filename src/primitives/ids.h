#pragma once

#include "crypto/hash.h"
#include "crypto/secp256k1.h"
#include "util/bytes.h"
#include "util/strong_int.h"

// The names of things on the chain: hashes of different kinds do not mix.

namespace sluice {

using crypto::Hash256;
using crypto::PubKey;
using crypto::SchnorrSignature;
using crypto::XOnlyPubKey;

using Txid = FixedBytes<32, struct TxidTag>;    // hash without witnesses; names outputs
using Wtxid = FixedBytes<32, struct WtxidTag>;  // hash with witnesses; names what is relayed
using BlockHash = FixedBytes<32, struct BlockHashTag>;
using ClaimId = FixedBytes<32, struct ClaimIdTag>;  // taggedhash of a claim's first publish outpoint
using StakerId = FixedBytes<8, struct StakerIdTag>;
using ContentRoot = FixedBytes<32, struct ContentRootTag>;  // BEP 52 pieces root of a sealed file

using Height = StrongInt<struct HeightTag, uint32_t>;
using Slot = StrongInt<struct SlotTag, uint64_t>;
using Epoch = StrongInt<struct EpochTag, uint64_t>;
using PeerId = StrongInt<struct PeerIdTag, uint64_t>;  // one connection, never reused while the node runs

template <class To, class From>
To CastHash(const From& from) {
    return To(from.bytes);
}

// An output of a transaction.
struct OutPoint {
    Txid txid;
    uint32_t index{0};

    friend auto operator<=>(const OutPoint&, const OutPoint&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.txid, self.index); }
    bool IsNull() const { return index == 0xffffffff && txid.IsZero(); }
    std::string ToString() const { return txid.Hex() + ":" + std::to_string(index); }
    static std::optional<OutPoint> FromString(std::string_view text);
};

inline constexpr OutPoint kNullOutPoint{{}, 0xffffffff};  // the input of a coinbase

// Content by what it is: the pieces root of the sealed file and its exact size.
struct ContentId {
    ContentRoot root;
    uint64_t size_bytes{0};

    friend auto operator<=>(const ContentId&, const ContentId&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.root, self.size_bytes); }
};

}  // namespace sluice
