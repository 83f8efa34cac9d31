#pragma once

#include <optional>
#include <vector>

#include "primitives/transaction.h"

namespace sluice::consensus {

inline constexpr uint8_t kSighashDefault = 0x00;
inline constexpr uint8_t kSighashAll = 0x01;
inline constexpr uint8_t kSighashNone = 0x02;
inline constexpr uint8_t kSighashSingle = 0x03;
inline constexpr uint8_t kSighashAnyoneCanPay = 0x80;

// What a script-path signature commits to beside the transaction (BIP342).
struct ScriptPathData {
    Hash256 leaf_hash;
    uint32_t code_separator_position{0xffffffff};
};

// A transaction with the outputs that it spends and the hashes that its signatures share (BIP341), computed once.
// Refers to `tx`, which must outlive it. Thread-safe once made.
class SpendingTransaction {
  public:
    // `spent` has one output for each input, in their order.
    SpendingTransaction(const MutableTransaction& tx, std::vector<TxOutput> spent);

    const MutableTransaction& tx() const { return m_tx; }
    const std::vector<TxOutput>& spent() const { return m_spent; }

    // The BIP341 signature message's hash for input `index`; nullopt for an undefined hash type or SINGLE without an
    // output of the same index. `annex` is with its 0x50 prefix.
    std::optional<Hash256> SignatureHash(size_t index, uint8_t hash_type,
                                         const std::optional<ScriptPathData>& script_path = {},
                                         const std::optional<Bytes>& annex = {}) const;
    // The same with AnnexHash of the annex, for the many signatures of one input: a long annex is hashed once.
    std::optional<Hash256> SignatureHashWithAnnexHash(size_t index, uint8_t hash_type,
                                                      const std::optional<ScriptPathData>& script_path,
                                                      const std::optional<Hash256>& annex_hash) const;

  private:
    const MutableTransaction& m_tx;
    std::vector<TxOutput> m_spent;
    Hash256 m_prevouts_hash, m_amounts_hash, m_scripts_hash, m_sequences_hash, m_outputs_hash;
};

// SHA256(compact size || annex), the annex with its 0x50 prefix.
Hash256 AnnexHash(ByteSpan annex);
// taggedhash("TapLeaf", version || compact size || script).
Hash256 TapLeafHash(const Script& script, uint8_t leaf_version = 0xc0);
// taggedhash("TapBranch", the two in lexicographic order).
Hash256 TapBranchHash(const Hash256& a, const Hash256& b);

}  // namespace sluice::consensus
