#include "node/fraud_reports.h"

#include "content/sealing.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

constexpr std::string_view kProof = "proof", kEvidence = "evidence";
constexpr size_t kMaxEvidenceBytes = kChunkBytes + (64 << 10);

}  // namespace

Result<FraudReports::Evidence> FraudReports::EvidenceOf(const StoredContent& stored, ChunkIndex chunk) {
    Evidence evidence;
    evidence.chunk = chunk;
    evidence.bytes.resize(ChunkBytes(stored.id().size_bytes, chunk));
    RETURN_IF_ERROR(stored.Read(chunk, evidence.bytes));
    const auto proof = stored.ProofOf({chunk, 1});
    if (!proof) return Fail(ErrorKind::kUnavailable, "the chunk's proof is not in the store");
    evidence.proof = *proof;
    // What the disk has damaged is no evidence.
    if (proof->hashes.size() != 1 || !CheckChunk(stored.id().size_bytes, chunk, evidence.bytes, proof->hashes[0]))
        return Fail(ErrorKind::kUnavailable, "the chunk in the store is damaged");
    return evidence;
}

std::optional<FraudReports::Evidence> FraudReports::FindFalseChunk(const PublishRecord& record,
                                                                   const ContentKeys& keys) const {
    const auto layout = SealedLayout::FromRecord(record);
    const auto stored = m_chunks.Find(record.content);
    if (!layout || !stored) return std::nullopt;
    ChunkCipher cipher(keys.Clone(), record.sealing_salt, *layout);
    Bytes sealed(kChunkBytes), plain(kChunkBytes);
    for (ChunkIndex chunk(0); chunk.value < layout->chunks(); ++chunk) {
        if (!cipher.HasKeyOf(chunk)) continue;
        const auto into = MutableByteSpan(sealed).first(ChunkBytes(record.content.size_bytes, chunk));
        if (!stored->Read(chunk, into)) continue;
        if (cipher.Open(chunk, into, plain)) continue;
        auto evidence = EvidenceOf(*stored, chunk);
        if (!evidence) return std::nullopt;
        std::optional<uint32_t> segment;
        if (!keys.title_key()) {
            for (uint32_t i = 0; i < kMaxSegments && !segment; ++i)
                if (keys.SegmentKey(i) && (layout->IsManifest(chunk) || layout->SegmentOf(chunk) == i)) segment = i;
            if (!segment) return std::nullopt;
        }
        evidence->tier = segment ? static_cast<uint16_t>(*segment + 1) : 0;
        const crypto::SecretKey key = segment ? std::move(*keys.SegmentKey(*segment)) : keys.title_key()->Clone();
        evidence->secret = Hash256::FromSpan(key.bytes().first<32>());
        return std::move(*evidence);
    }
    return std::nullopt;
}

void FraudReports::Examine(std::shared_ptr<Claims::Openable> openable, std::function<void(const std::string&)> then) {
    auto evidence = FindFalseChunk(openable->info.record, openable->keys);
    m_tasks.PostToChain([this, openable, then, evidence = std::move(evidence)]() mutable {
        if (!evidence) return then("");
        evidence->anchor = openable->info.anchor;
        const auto written = Report(openable->info.id, *evidence);
        if (!written) LogInfo("sale", "no proof of the fraud: {}", written.error().message);
        then(written.value_or(""));
    });
}

void FraudReports::ReportBundle(const OutPoint& anchor, const crypto::SecretKey& key) {
    const auto publish = m_wallet.FindPublish(anchor);
    const auto stored = publish ? m_chunks.Find(publish->record.content) : nullptr;
    if (!stored || m_tasks.environment().files.Exists(PathOf(publish->claim, kProof))) return;
    auto evidence = EvidenceOf(*stored, ChunkIndex(0));
    if (!evidence) return LogWarning("sale", "no proof of the fraud: {}", evidence.error().message);
    evidence->anchor = anchor;
    evidence->secret = Hash256::FromSpan(key.bytes().first<32>());
    const auto written = Report(publish->claim, *evidence);
    if (!written) LogInfo("sale", "no proof of the fraud: {}", written.error().message);
}

// --- what waits for a block ---

Result<std::string> FraudReports::Report(const ClaimId& claim, const Evidence& evidence) {
    auto written = Write(claim, evidence);
    if (written) {
        Forget(claim);
        return written;
    }
    if (written.error().kind != ErrorKind::kUnavailable) return written;
    if (!m_waiting.contains(claim) && m_waiting.size() >= kMaxWaiting) return written;
    storage::FileSystem& files = m_tasks.environment().files;
    RETURN_IF_ERROR(files.CreateDirectories(m_folder));
    RETURN_IF_ERROR(storage::WriteFileAtomically(files, PathOf(claim, kEvidence), Encode(evidence)));
    m_waiting.insert(claim);
    return written;
}

void FraudReports::Resume() {
    const auto entries = m_tasks.environment().files.List(m_folder);
    if (!entries) return;  // nothing was ever reported
    const std::string suffix = "." + std::string(kEvidence);
    for (const storage::DirectoryEntry& entry : *entries) {
        if (!entry.name.ends_with(suffix) || m_waiting.size() >= kMaxWaiting) continue;
        const auto claim = ClaimId::FromHex(entry.name.substr(0, entry.name.size() - suffix.size()));
        if (claim) m_waiting.insert(*claim);
    }
    CompleteWaiting();
}

void FraudReports::CompleteWaiting() {
    const std::set<ClaimId> waiting = m_waiting;
    for (const ClaimId& claim : waiting) {
        const auto written = [&]() -> Result<std::string> {
            ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(m_tasks.environment().files,
                                                                       PathOf(claim, kEvidence), kMaxEvidenceBytes));
            ASSIGN_OR_RETURN(const Evidence evidence, Decode<Evidence>(bytes));
            return Write(claim, evidence);
        }();
        if (!written && written.error().kind == ErrorKind::kUnavailable) continue;
        if (!written) LogInfo("sale", "no proof of the fraud: {}", written.error().message);
        Forget(claim);
    }
}

void FraudReports::Forget(const ClaimId& claim) {
    if (m_waiting.erase(claim) == 0) return;
    const Status removed = m_tasks.environment().files.Remove(PathOf(claim, kEvidence));
    if (!removed) LogWarning("sale", "{}", removed.error().message);
}

// --- what the chain gives ---

Result<TransactionRef> FraudReports::FindTransaction(const Txid& txid) const {
    ASSIGN_OR_RETURN(const auto place, m_chain.chain().indexes().FindTx(txid));
    if (!place) return Fail(ErrorKind::kUnavailable, "the transaction " + txid.Hex() + " is in no block");
    ASSIGN_OR_RETURN(const BlockRef block, m_chain.chain().GetBlockAt(place->height));
    if (!block || place->position >= block->transactions.size())
        return Fail(ErrorKind::kUnavailable, "the block of transaction " + txid.Hex() + " is not here");
    return block->transactions[place->position];
}

// A granted purchase of ours, or the one that a gift was made of.
Result<FraudProof::Sale> FraudReports::FindSale(const OutPoint& anchor, const PublishRecord& record,
                                                uint16_t tier) const {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    const PubKey& point = tier == 0 ? record.title_key : record.segments.at(tier - 1u).key;
    std::vector<OutPoint> locks;
    for (const auto& [lock, purchase] : wallet->Purchases())
        if (purchase.key && purchase.publish == anchor && purchase.tier == tier) locks.push_back(lock);
    for (const auto& [output, gift] : wallet->Gifts())
        if (gift.point == point) locks.push_back(gift.purchase);
    for (const OutPoint& lock : locks) {
        const auto grant = m_chain.chain().indexes().FindGrant(lock);
        if (!grant || !*grant) continue;
        FraudProof::Sale sale;
        ASSIGN_OR_RETURN(sale.purchase, FindTransaction(lock.txid));
        ASSIGN_OR_RETURN(sale.grant, FindTransaction((*grant)->txid));
        for (const TxInput& input : sale.grant->inputs()) {
            ASSIGN_OR_RETURN(const TransactionRef made, FindTransaction(input.prevout.txid));
            if (input.prevout.index >= made->outputs().size()) return Fail("an output of the grant is not there");
            sale.spent.push_back(made->outputs()[input.prevout.index]);
        }
        return sale;
    }
    if (locks.empty()) return Fail(ErrorKind::kNotFound, "this wallet bought no such key");
    return Fail(ErrorKind::kUnavailable, "no sale of this key to this wallet is in a block yet");
}

Result<std::string> FraudReports::Write(const ClaimId& claim, const Evidence& evidence) const {
    const OutPoint& anchor = evidence.anchor;
    const auto publish = m_wallet.FindPublish(anchor);
    if (!publish || anchor.index == 0) return Fail(ErrorKind::kUnavailable, "the publish is in no block");
    if (evidence.tier > publish->record.segments.size()) return Fail("the record has no such segment");
    FraudProof proof;
    ASSIGN_OR_RETURN(proof.publish, FindTransaction(anchor.txid));
    proof.record_output = anchor.index - 1;
    if (!publish->record.free_key) {
        ASSIGN_OR_RETURN(proof.sale, FindSale(anchor, publish->record, evidence.tier));
    }
    proof.tier = evidence.tier;
    proof.secret = evidence.secret;
    proof.chunk = evidence.chunk;
    proof.chunk_bytes = evidence.bytes;
    proof.proof = evidence.proof;
    // What does not verify accuses nobody.
    ASSIGN_OR_RETURN(const FraudFinding finding, VerifyFraudProof(proof));
    storage::FileSystem& files = m_tasks.environment().files;
    RETURN_IF_ERROR(files.CreateDirectories(m_folder));
    const std::string path = PathOf(claim, kProof);
    RETURN_IF_ERROR(storage::WriteFileAtomically(files, path, proof.ToBytes()));
    LogWarning("sale", "{}: the proof is {}", finding.what, path);
    return path;
}

Result<std::string> FraudReports::FileOf(const ClaimId& claim) const {
    const std::string path = PathOf(claim, kProof);
    if (m_tasks.environment().files.Exists(path)) return path;
    const std::string name = "claim " + claim.Hex().substr(0, 12);
    if (m_waiting.contains(claim))
        return Fail(ErrorKind::kUnavailable,
                    "the fraud proof of " + name + " is made as soon as its sale is in a block: try again then");
    return Fail(ErrorKind::kNotFound, "there is no fraud proof of " + name +
                                          ": 'get' makes one if a key that was bought does not open the content");
}

Result<FraudProof> FraudReports::Load(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(const std::string path, FileOf(claim));
    ASSIGN_OR_RETURN(const Bytes bytes, storage::ReadWholeFile(m_tasks.environment().files, path, kMaxFraudProofBytes));
    return FraudProof::FromBytes(bytes);
}

}  // namespace sluice::node
