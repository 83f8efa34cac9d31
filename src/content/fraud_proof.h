#pragma once

#include "content/merkle.h"
#include "primitives/record.h"
#include "primitives/transaction.h"

// The proof that what was sold does not open what was promised: complete in itself, checked by anyone, offline.
//
//   publish tx   says S, K, root, salt and price                    its txid is what the purchase names
//   purchase tx  locks the price for the key of K                   its txid is what the grant spends
//   grant tx     signed by S over all that it spends                the seller took the price
//   secret       k with kG = K: what the grant revealed
//   chunk        under the root, by a Merkle proof                  k does not open it, or it holds other keys than the
//                                                                   bundle's record promised
//
// Nothing in it is believed: a proof against an honest seller needs a chunk under his root that his key does not open.
// That the transactions are on a chain is not proven here: any node says it (getrawtransaction). Free content, whose
// key is in its record, is proven false without a sale. Pure.

namespace sluice::content {

struct FraudProof {
    struct Sale {
        TransactionRef purchase;
        TransactionRef grant;
        std::vector<TxOutput> spent;  // by the grant, one for each of its inputs
    };
    TransactionRef publish;
    uint32_t record_output{0};  // of the publish record in it
    std::optional<Sale> sale;   // none: free content
    uint16_t tier{0};
    Hash256 secret;  // k, or k_i: public by the fraud
    ChunkIndex chunk;
    Bytes chunk_bytes;  // sealed
    HashProof proof;    // of the chunk's hash

    Bytes ToBytes() const;
    static Result<FraudProof> FromBytes(ByteSpan bytes);
};
inline constexpr size_t kMaxFraudProofBytes = 8 << 20;

struct FraudFinding {
    enum class Kind { kDoesNotOpen, kFalseBundle } kind{Kind::kDoesNotOpen};
    PublishRecord record;
    std::string what;  // one line for people
};
// What the proof proves; kInvalid says why it proves nothing.
Result<FraudFinding> VerifyFraudProof(const FraudProof& proof);

}  // namespace sluice::content
