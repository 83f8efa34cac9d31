#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "content/chunk_store.h"
#include "content/fraud_proof.h"
#include "node/claims.h"
#include "node/job_tasks.h"

namespace sluice::node {

// Makes and keeps proofs that a key which was sold does not open what was promised (content/fraud_proof.h): one file
// for each claim, `<folder>/<claim>.proof`. What was found out before its sale is in a block waits on disk, in
// `<claim>.evidence`, and is tried again with each block and after a restart. Belongs to the chain strand, but for
// Examine.
class FraudReports final : public ChainListener {
  public:
    // Found out and waiting for their sales; more are not kept.
    static constexpr size_t kMaxWaiting = 100;

    FraudReports(const JobTasks& tasks, ChainService& chain, WalletService& wallet, content::ChunkStore& chunks,
                 std::string folder)
        : m_tasks(tasks), m_chain(chain), m_wallet(wallet), m_chunks(chunks), m_folder(std::move(folder)) {}

    // Takes up what waits since before the restart.
    void Resume();
    // Looks for a chunk that the keys do not open, and writes the proof. From a long task; `then` is called on the
    // chain strand with the proof's file, empty if there is no proof (yet).
    void Examine(std::shared_ptr<Claims::Openable> openable, std::function<void(const std::string& file)> then);
    // Of a bundle that opens and holds other keys than its record promises.
    void ReportBundle(const OutPoint& anchor, const crypto::SecretKey& key);
    // The file with the proof of a claim; kNotFound if there is none, kUnavailable if it waits for its sale.
    Result<std::string> FileOf(const ClaimId& claim) const;
    Result<content::FraudProof> Load(const ClaimId& claim) const;

    void OnTipChanged(const chain::TipChange&) override { CompleteWaiting(); }
    void OnTransactionAccepted(const TransactionRef&) override {}
    void OnTransactionRemoved(const chain::RemovedTransaction&) override {}

  private:
    // What of a proof the content gives.
    struct Evidence {
        OutPoint anchor;  // of the publish
        uint16_t tier{0};
        Hash256 secret;
        content::ChunkIndex chunk;
        Bytes bytes;
        content::HashProof proof;

        static void Serialize(auto& self, auto& archive) {
            archive(self.anchor, self.tier, self.secret, self.chunk);
            archive.VarBytes(self.bytes, content::kChunkBytes);
            archive(self.proof);
        }
    };
    static Result<Evidence> EvidenceOf(const content::StoredContent& stored, content::ChunkIndex chunk);
    std::optional<Evidence> FindFalseChunk(const PublishRecord& record, const content::ContentKeys& keys) const;
    std::string PathOf(const ClaimId& claim, std::string_view kind) const {
        return m_folder + "/" + claim.Hex() + "." + std::string(kind);
    }
    // The proof's file; on disk before it waits for its sale.
    Result<std::string> Report(const ClaimId& claim, const Evidence& evidence);
    void CompleteWaiting();
    void Forget(const ClaimId& claim);
    // kUnavailable: a later block may make it possible.
    Result<std::string> Write(const ClaimId& claim, const Evidence& evidence) const;
    Result<content::FraudProof::Sale> FindSale(const OutPoint& anchor, const PublishRecord& record,
                                               uint16_t tier) const;
    Result<TransactionRef> FindTransaction(const Txid& txid) const;

    const JobTasks& m_tasks;
    ChainService& m_chain;
    WalletService& m_wallet;
    content::ChunkStore& m_chunks;
    const std::string m_folder;
    std::set<ClaimId> m_waiting;
};

}  // namespace sluice::node
