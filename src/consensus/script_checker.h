#pragma once

#include <string>

#include "consensus/interpreter.h"

namespace sluice::consensus {

// Success, or the reason in lower-case words.
using ScriptVerdict = Result<void, std::string>;
inline tl::unexpected<std::string> ScriptFail(std::string reason) {
    return tl::unexpected<std::string>(std::move(reason));
}

// Answers what the script of one input asks about its transaction, and notes in `facts` each signature found valid.
// Everything that it is given must outlive it.
class ScriptChecker {
  public:
    ScriptChecker(const SpendingTransaction& tx, size_t index, std::optional<Hash256> annex_hash, SpendFacts& facts)
        : m_tx(tx), m_index(index), m_annex_hash(annex_hash), m_facts(facts) {}

    // BIP341: 64 bytes (DEFAULT), or 65 with a hash type other than DEFAULT. `script_path` is empty on the key path.
    ScriptVerdict CheckSignature(ByteSpan signature, const XOnlyPubKey& key,
                                 const std::optional<ScriptPathData>& script_path);
    // BIP65 for a number that is not negative.
    bool CheckLockTime(int64_t lock_time) const;
    // BIP112 for a number that is not negative and lacks the disable bit.
    bool CheckSequence(int64_t sequence) const;

  private:
    const SpendingTransaction& m_tx;
    size_t m_index;
    std::optional<Hash256> m_annex_hash;
    SpendFacts& m_facts;
};

}  // namespace sluice::consensus
