#pragma once

#include <memory>
#include <vector>

#include "primitives/amount.h"
#include "primitives/ids.h"
#include "util/serialize.h"

namespace sluice {

// Consensus bounds on what is decoded at all; the rules of consensus/ are stricter.
inline constexpr size_t kMaxBlockWeight = 400'000;
inline constexpr size_t kMaxTransactionBytes = kMaxBlockWeight;  // no transaction is larger than a block
inline constexpr size_t kMaxScriptBytes = 10'000;
inline constexpr size_t kMaxWitnessItems = 10'000;
inline constexpr size_t kMaxTransactionInputs = 10'000;
inline constexpr size_t kMaxTransactionOutputs = 10'000;
inline constexpr size_t kWitnessScaleFactor = 4;

using Script = Bytes;
using WitnessStack = std::vector<Bytes>;

struct TxInput {
    OutPoint prevout;
    Script script_sig;  // empty in every valid transaction of ours but a coinbase
    uint32_t sequence{0xffffffff};
    WitnessStack witness;

    friend bool operator==(const TxInput&, const TxInput&) = default;
};

struct TxOutput {
    Amount value;
    Script script;

    friend bool operator==(const TxOutput&, const TxOutput&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.value);
        archive.VarBytes(self.script, kMaxTransactionBytes);
    }
};

// A transaction under construction. Bitcoin's segwit serialization (BIP144).
struct MutableTransaction {
    int32_t version{3};
    std::vector<TxInput> inputs;
    std::vector<TxOutput> outputs;
    uint32_t lock_time{0};

    friend bool operator==(const MutableTransaction&, const MutableTransaction&) = default;
    bool HasWitness() const;
    Txid ComputeTxid() const;
    Wtxid ComputeWtxid() const;
    // `with_witness` false leaves the witnesses out (what a txid hashes).
    Bytes ToBytes(bool with_witness = true) const;
    // Exactly one transaction, canonically encoded (no superfluous witness marker), at most `limit_bytes` long.
    static Result<MutableTransaction> FromBytes(ByteSpan bytes, size_t limit_bytes = kMaxTransactionBytes);

    static void Serialize(const MutableTransaction& self, Writer& archive);
    static void Serialize(MutableTransaction& self, Reader& archive);
};

// A transaction that does not change any more, with its hashes and sizes.
class Transaction {
  public:
    explicit Transaction(MutableTransaction tx);

    const MutableTransaction& tx() const { return m_tx; }
    const std::vector<TxInput>& inputs() const { return m_tx.inputs; }
    const std::vector<TxOutput>& outputs() const { return m_tx.outputs; }
    const Txid& txid() const { return m_txid; }
    const Wtxid& wtxid() const { return m_wtxid; }
    size_t stripped_bytes() const { return m_stripped_bytes; }
    size_t total_bytes() const { return m_total_bytes; }
    // BIP141: 3 * stripped size + total size.
    size_t weight() const { return m_stripped_bytes * (kWitnessScaleFactor - 1) + m_total_bytes; }
    size_t vsize() const { return (weight() + kWitnessScaleFactor - 1) / kWitnessScaleFactor; }
    bool IsCoinbase() const { return m_tx.inputs.size() == 1 && m_tx.inputs[0].prevout.IsNull(); }
    OutPoint Output(uint32_t index) const { return {m_txid, index}; }

  private:
    MutableTransaction m_tx;
    Txid m_txid;
    Wtxid m_wtxid;
    size_t m_stripped_bytes;
    size_t m_total_bytes;
};

using TransactionRef = std::shared_ptr<const Transaction>;
inline TransactionRef MakeTransaction(MutableTransaction tx) {
    return std::make_shared<const Transaction>(std::move(tx));
}

}  // namespace sluice
