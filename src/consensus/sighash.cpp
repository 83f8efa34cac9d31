#include "consensus/sighash.h"

namespace sluice::consensus {
namespace {

constexpr uint8_t kEpoch = 0x00;
constexpr uint8_t kKeyVersion = 0x00;
constexpr uint8_t kOutputMask = 0x03;

// Compact size and script, whatever its length: a spent script may come from outside our chain's limits.
void WriteScript(ByteSpan script, Writer& writer) {
    writer.CompactSize(script.size());
    writer.Raw(script);
}

void WriteOutput(const TxOutput& output, Writer& writer) {
    writer(output.value);
    WriteScript(output.script, writer);
}

Hash256 Sha256Of(const Writer& writer) { return crypto::Sha256Of(writer.bytes()); }

bool IsDefinedHashType(uint8_t hash_type) {
    return hash_type <= kSighashSingle ||
           (hash_type >= (kSighashAnyoneCanPay | kSighashAll) && hash_type <= (kSighashAnyoneCanPay | kSighashSingle));
}

}  // namespace

SpendingTransaction::SpendingTransaction(const MutableTransaction& tx, std::vector<TxOutput> spent)
    : m_tx(tx), m_spent(std::move(spent)) {
    CHECK(m_spent.size() == m_tx.inputs.size());
    Writer prevouts, amounts, scripts, sequences, outputs;
    for (const TxInput& input : m_tx.inputs) {
        prevouts(input.prevout);
        sequences(input.sequence);
    }
    for (const TxOutput& output : m_spent) {
        amounts(output.value);
        WriteScript(output.script, scripts);
    }
    for (const TxOutput& output : m_tx.outputs) WriteOutput(output, outputs);
    m_prevouts_hash = Sha256Of(prevouts);
    m_amounts_hash = Sha256Of(amounts);
    m_scripts_hash = Sha256Of(scripts);
    m_sequences_hash = Sha256Of(sequences);
    m_outputs_hash = Sha256Of(outputs);
}

std::optional<Hash256> SpendingTransaction::SignatureHash(size_t index, uint8_t hash_type,
                                                          const std::optional<ScriptPathData>& script_path,
                                                          const std::optional<Bytes>& annex) const {
    std::optional<Hash256> annex_hash;
    if (annex) annex_hash = AnnexHash(*annex);
    return SignatureHashWithAnnexHash(index, hash_type, script_path, annex_hash);
}

std::optional<Hash256> SpendingTransaction::SignatureHashWithAnnexHash(size_t index, uint8_t hash_type,
                                                                       const std::optional<ScriptPathData>& script_path,
                                                                       const std::optional<Hash256>& annex_hash) const {
    CHECK(index < m_tx.inputs.size());
    if (!IsDefinedHashType(hash_type)) return std::nullopt;
    const uint8_t output_type = hash_type == kSighashDefault ? kSighashAll : hash_type & kOutputMask;
    const bool anyone_can_pay = (hash_type & kSighashAnyoneCanPay) != 0;

    Writer message;
    message(kEpoch, hash_type, m_tx.version, m_tx.lock_time);
    if (!anyone_can_pay) message(m_prevouts_hash, m_amounts_hash, m_scripts_hash, m_sequences_hash);
    if (output_type == kSighashAll) message(m_outputs_hash);
    const uint8_t extension_flag = script_path ? 1 : 0;
    message(static_cast<uint8_t>(extension_flag * 2 + (annex_hash ? 1 : 0)));
    if (anyone_can_pay) {
        message(m_tx.inputs[index].prevout);
        WriteOutput(m_spent[index], message);
        message(m_tx.inputs[index].sequence);
    } else {
        message(static_cast<uint32_t>(index));
    }
    if (annex_hash) message(*annex_hash);
    if (output_type == kSighashSingle) {
        if (index >= m_tx.outputs.size()) return std::nullopt;
        Writer output;
        WriteOutput(m_tx.outputs[index], output);
        message(Sha256Of(output));
    }
    if (script_path) message(script_path->leaf_hash, kKeyVersion, script_path->code_separator_position);

    static const crypto::Sha256 hasher = crypto::TaggedHasher("TapSighash");
    return crypto::Sha256(hasher).Write(message.bytes()).Finish();
}

Hash256 AnnexHash(ByteSpan annex) {
    Writer writer;
    WriteScript(annex, writer);
    return Sha256Of(writer);
}

Hash256 TapLeafHash(const Script& script, uint8_t leaf_version) {
    static const crypto::Sha256 hasher = crypto::TaggedHasher("TapLeaf");
    Writer writer;
    writer(leaf_version);
    WriteScript(script, writer);
    return crypto::Sha256(hasher).Write(writer.bytes()).Finish();
}

Hash256 TapBranchHash(const Hash256& a, const Hash256& b) {
    static const crypto::Sha256 hasher = crypto::TaggedHasher("TapBranch");
    const bool a_first = a < b;
    return crypto::Sha256(hasher).Write((a_first ? a : b).bytes).Write((a_first ? b : a).bytes).Finish();
}

}  // namespace sluice::consensus
