#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "content/chunk_store.h"
#include "content/fraud_proof.h"
#include "node/claims.h"
#include "node/job_tasks.h"

namespace sluice::node {

// Makes and keeps proofs that a key which was sold does not open what was promised (content/fraud_proof.h): one file
// for each claim, `<folder>/<claim>.proof`. Belongs to the chain strand, but for Examine.
class FraudReports {
  public:
    FraudReports(const JobTasks& tasks, ChainService& chain, WalletService& wallet, content::ChunkStore& chunks,
                 std::string folder)
        : m_tasks(tasks), m_chain(chain), m_wallet(wallet), m_chunks(chunks), m_folder(std::move(folder)) {}

    // Looks for a chunk that the keys do not open, and writes the proof. From a long task; `then` is called on the
    // chain strand with the proof's file, empty if there is no proof.
    void Examine(std::shared_ptr<Claims::Openable> openable, std::function<void(const std::string& file)> then);
    // Of a bundle that opens and holds other keys than its record promises.
    void ReportBundle(const OutPoint& anchor, const crypto::SecretKey& key);
    // The file with the proof of a claim; kNotFound if there is none.
    Result<std::string> FileOf(const ClaimId& claim) const;
    Result<content::FraudProof> Load(const ClaimId& claim) const;

  private:
    // What of a proof the content gives.
    struct Evidence {
        uint16_t tier{0};
        Hash256 secret;
        content::ChunkIndex chunk;
        Bytes bytes;
        content::HashProof proof;
    };
    static Result<Evidence> EvidenceOf(const content::StoredContent& stored, content::ChunkIndex chunk);
    std::optional<Evidence> FindFalseChunk(const PublishRecord& record, const content::ContentKeys& keys) const;
    Result<std::string> Write(const ClaimId& claim, const OutPoint& anchor, Evidence evidence) const;
    Result<content::FraudProof::Sale> FindSale(const OutPoint& anchor, const PublishRecord& record,
                                               uint16_t tier) const;
    Result<TransactionRef> FindTransaction(const Txid& txid) const;

    const JobTasks& m_tasks;
    ChainService& m_chain;
    WalletService& m_wallet;
    content::ChunkStore& m_chunks;
    const std::string m_folder;
};

}  // namespace sluice::node
