#include "primitives/transaction.h"

namespace sluice {
namespace {

constexpr size_t kMinInputBytes = 41;  // outpoint, empty script, sequence
constexpr size_t kMinOutputBytes = 9;  // value, empty script

void WriteBody(const MutableTransaction& tx, Writer& writer, bool with_witness) {
    writer(tx.version);
    if (with_witness) writer(uint8_t{0}, uint8_t{1});
    writer.CompactSize(tx.inputs.size());
    for (const TxInput& input : tx.inputs) {
        writer(input.prevout);
        writer.VarBytes(input.script_sig, kMaxTransactionBytes);
        writer(input.sequence);
    }
    writer.Vector(tx.outputs, kMaxTransactionOutputs);
    if (with_witness) {
        for (const TxInput& input : tx.inputs) {
            writer.CompactSize(input.witness.size());
            for (const Bytes& item : input.witness) writer.VarBytes(item, kMaxTransactionBytes);
        }
    }
    writer(tx.lock_time);
}

void ReadInputs(std::vector<TxInput>& inputs, uint64_t count, Reader& reader) {
    if (count > kMaxTransactionInputs || count > reader.Left() / kMinInputBytes) {
        reader.SetError("a transaction has more inputs than fit");
        return;
    }
    inputs.resize(count);
    for (TxInput& input : inputs) {
        reader(input.prevout);
        reader.VarBytes(input.script_sig, kMaxTransactionBytes);
        reader(input.sequence);
    }
}

void ReadWitness(WitnessStack& witness, Reader& reader) {
    const uint64_t count = reader.CompactSize();
    if (count > kMaxWitnessItems || count > reader.Left()) {
        reader.SetError("a witness has more items than fit");
        return;
    }
    witness.resize(count);
    for (Bytes& item : witness) reader.VarBytes(item, kMaxTransactionBytes);
}

Hash256 DoubleHash(const MutableTransaction& tx, bool with_witness) {
    return crypto::Sha256d(tx.ToBytes(with_witness));
}

}  // namespace

bool MutableTransaction::HasWitness() const {
    return std::any_of(inputs.begin(), inputs.end(), [](const TxInput& input) { return !input.witness.empty(); });
}

Txid MutableTransaction::ComputeTxid() const { return CastHash<Txid>(DoubleHash(*this, false)); }
Wtxid MutableTransaction::ComputeWtxid() const { return CastHash<Wtxid>(DoubleHash(*this, true)); }

Bytes MutableTransaction::ToBytes(bool with_witness) const {
    Writer writer;
    WriteBody(*this, writer, with_witness && HasWitness());
    return writer.Take();
}

Result<MutableTransaction> MutableTransaction::FromBytes(ByteSpan bytes, size_t limit_bytes) {
    if (bytes.size() > limit_bytes)
        return Fail("the transaction has " + std::to_string(bytes.size()) + " bytes, the limit is " +
                    std::to_string(limit_bytes));
    return Decode<MutableTransaction>(bytes);
}

void MutableTransaction::Serialize(const MutableTransaction& self, Writer& archive) {
    WriteBody(self, archive, self.HasWitness());
}

void MutableTransaction::Serialize(MutableTransaction& self, Reader& archive) {
    archive(self.version);
    uint64_t count = archive.CompactSize();
    bool with_witness = false;
    if (count == 0 && archive.Left() > 0 && archive.Rest()[0] != 0) {
        const uint8_t flag = archive.Integer<uint8_t>();
        if (flag != 1) return archive.SetError("a transaction has an unknown extension flag");
        with_witness = true;
        count = archive.CompactSize();
    }
    ReadInputs(self.inputs, count, archive);
    archive.Vector(self.outputs, kMaxTransactionOutputs, kMinOutputBytes);
    if (with_witness) {
        for (TxInput& input : self.inputs) {
            if (!archive.Ok()) return;
            ReadWitness(input.witness, archive);
        }
        if (archive.Ok() && !self.HasWitness()) archive.SetError("a transaction has a witness marker but no witness");
    }
    archive(self.lock_time);
}

Transaction::Transaction(MutableTransaction tx) : m_tx(std::move(tx)) {
    const Bytes stripped = m_tx.ToBytes(false);
    m_stripped_bytes = stripped.size();
    m_txid = CastHash<Txid>(crypto::Sha256d(stripped));
    if (m_tx.HasWitness()) {
        const Bytes full = m_tx.ToBytes(true);
        m_total_bytes = full.size();
        m_wtxid = CastHash<Wtxid>(crypto::Sha256d(full));
    } else {
        m_total_bytes = m_stripped_bytes;
        m_wtxid = CastHash<Wtxid>(m_txid);
    }
}

}  // namespace sluice
