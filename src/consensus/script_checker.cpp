#include "consensus/script_checker.h"

namespace sluice::consensus {
namespace {

constexpr int64_t kLockTimeThreshold = 500'000'000;  // below: heights; from here on: times
constexpr uint32_t kSequenceFinal = 0xffffffff;
constexpr uint32_t kSequenceDisableFlag = uint32_t{1} << 31;
constexpr int64_t kSequenceTypeFlag = int64_t{1} << 22;
constexpr int64_t kSequenceMask = 0xffff;

}  // namespace

ScriptVerdict ScriptChecker::CheckSignature(ByteSpan signature, const XOnlyPubKey& key,
                                            const std::optional<ScriptPathData>& script_path) {
    constexpr size_t kSize = SchnorrSignature::kSize;
    if (signature.size() != kSize && signature.size() != kSize + 1)
        return ScriptFail("a signature is neither 64 nor 65 bytes long");
    uint8_t hash_type = kSighashDefault;
    if (signature.size() == kSize + 1) {
        hash_type = signature[kSize];
        if (hash_type == kSighashDefault) return ScriptFail("a 65-byte signature has the default hash type");
    }
    const auto hash = m_tx.SignatureHashWithAnnexHash(m_index, hash_type, script_path, m_annex_hash);
    if (!hash) return ScriptFail("a signature's hash type is undefined or has no output to sign");
    if (!crypto::VerifySchnorr(key, *hash, SchnorrSignature::FromSpan(signature.first<kSize>())))
        return ScriptFail(script_path ? "a signature in the script is invalid"
                                      : "the signature of the key path is invalid");
    m_facts.hash_types.push_back(hash_type);
    return {};
}

bool ScriptChecker::CheckLockTime(int64_t lock_time) const {
    const int64_t of_tx = m_tx.tx().lock_time;
    if ((of_tx < kLockTimeThreshold) != (lock_time < kLockTimeThreshold)) return false;
    return lock_time <= of_tx && m_tx.tx().inputs[m_index].sequence != kSequenceFinal;
}

bool ScriptChecker::CheckSequence(int64_t sequence) const {
    const uint32_t of_input = m_tx.tx().inputs[m_index].sequence;
    if (static_cast<uint32_t>(m_tx.tx().version) < 2 || (of_input & kSequenceDisableFlag) != 0) return false;
    const int64_t needed = sequence & (kSequenceTypeFlag | kSequenceMask);
    const int64_t given = of_input & (kSequenceTypeFlag | kSequenceMask);
    if ((needed < kSequenceTypeFlag) != (given < kSequenceTypeFlag)) return false;
    return needed <= given;
}

}  // namespace sluice::consensus
