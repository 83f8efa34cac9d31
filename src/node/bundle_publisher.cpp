#include "node/bundle_publisher.h"

#include <fmt/format.h>

#include <set>

#include "consensus/record_rules.h"
#include "content/bundle.h"
#include "content/sealing.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

namespace {

class MemorySource final : public PlainSource {
  public:
    explicit MemorySource(Bytes bytes) : m_bytes(std::move(bytes)) {}
    ~MemorySource() override { WipeMemory(m_bytes.data(), m_bytes.size()); }
    uint64_t size_bytes() const override { return m_bytes.size(); }
    Status Read(MutableByteSpan into) override {
        if (into.size() > m_bytes.size() - m_at) return Fail("the bundle is shorter than asked for");
        std::copy_n(m_bytes.begin() + static_cast<ptrdiff_t>(m_at), into.size(), into.begin());
        m_at += into.size();
        return {};
    }
    Status CheckEnd() override { return {}; }

  private:
    Bytes m_bytes;
    size_t m_at{0};
};

}  // namespace

Result<ContentId> BundlePublisher::SealKeys(const std::vector<crypto::SecretKey>& keys, crypto::SecretKey title_key,
                                            const Salt& salt) {
    MemorySource source(EncodeBundle(keys));
    SealJob job;
    job.source = &source;
    ASSIGN_OR_RETURN(const auto staged, m_chunks.Stage());
    staged->PinAtCommit();
    ASSIGN_OR_RETURN(const Sealed sealed, Seal(job, ContentKeys::FromTitleKey(std::move(title_key)), salt, *staged));
    ASSIGN_OR_RETURN(const auto stored, staged->Commit(sealed.content));
    return sealed.content;
}

Result<PublishedBundle> BundlePublisher::Publish(const BundleOptions& options) {
    ASSIGN_OR_RETURN(wallet::Wallet * wallet, m_wallet.Get());
    if (options.title.empty()) return Fail("a bundle needs a title");
    if (!consensus::IsCleanText(options.title) || !consensus::IsCleanText(options.description, true))
        return Fail("title or description has control characters or is not UTF-8: change it");
    if (options.price == Amount(0)) return Fail("price is 0: give the bundle a price");
    if (options.claims.empty() || options.claims.size() > kMaxBundledTitles)
        return Fail(fmt::format("a bundle is of 1 to {} claims, not {}", kMaxBundledTitles, options.claims.size()));
    const BlockHash& genesis = m_chain.chain().genesis_hash();
    const MasterKey master = wallet->ContentMasterKey();
    PublishRecord record;
    std::vector<crypto::SecretKey> keys;
    std::set<ClaimId> seen;
    for (const ClaimId& claim : options.claims) {
        if (!seen.insert(claim).second) return Fail("claim " + claim.Hex().substr(0, 12) + " is named twice");
        ASSIGN_OR_RETURN(const ClaimInfo info, m_claims.Find(claim));
        if (info.record.free_key) return Fail("claim " + claim.Hex().substr(0, 12) + " is free: leave it out");
        crypto::SecretKey key = DeriveTitleKey(master, genesis, info.record.title_salt);
        if (key.Public() != info.record.title_key)
            return Fail("claim " + claim.Hex().substr(0, 12) + " is not of this wallet: a bundle is of own claims");
        record.bundle.push_back({claim, info.record.title_key});
        keys.push_back(std::move(key));
    }
    if (m_false_key) keys[0] = m_false_key->Clone();
    record.title_salt = Salt(m_tasks.environment().random.Array<32>());
    record.sealing_salt = Salt(m_tasks.environment().random.Array<32>());
    crypto::SecretKey title_key = DeriveTitleKey(master, genesis, record.title_salt);
    record.title_key = title_key.Public();
    record.price = options.price;
    record.seller_key = DeriveSellerKey(master, genesis, record.title_salt).XOnly();
    record.unseal_key = crypto::X25519Public(DeriveUnsealKey(master, genesis, record.title_salt));
    record.title = options.title;
    record.description = options.description;
    record.mime = kBundleMime;
    ASSIGN_OR_RETURN(record.payout_script, wallet->NewReceiveScript("sales: " + options.title));
    ASSIGN_OR_RETURN(record.content, SealKeys(keys, std::move(title_key), record.sealing_salt));
    const auto sent = [&]() -> Result<PublishedBundle> {
        wallet::PublishRequest request;
        request.record = record;
        ASSIGN_OR_RETURN(const wallet::BuiltPublish built, wallet->BuildPublish(request));
        ASSIGN_OR_RETURN(const Txid txid, m_wallet.Broadcast(built.built));
        return PublishedBundle{built.claim, txid, built.anchor, built.built.fee, built.built.burned};
    }();
    if (!sent) {
        const Status removed = m_chunks.Remove(record.content);
        if (!removed) LogWarning("content", "{}", removed.error().message);
        return sent;
    }
    m_tasks.PostToNetwork([this, content = record.content] {
        const Status served = m_swarm.Serve(content, Amount(0));
        if (!served) LogError("content", "{}", served.error().message);
    });
    return sent;
}

}  // namespace sluice::node
