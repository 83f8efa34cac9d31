#include "node/key_ring.h"

#include <algorithm>

#include "content/sealing.h"
#include "util/log.h"

namespace sluice::node {

using namespace content;

std::optional<crypto::SecretKey> KeyRing::FindBought(const PubKey& point) const {
    if (!m_wallet.Exists()) return std::nullopt;
    const auto wallet = m_wallet.Get();
    for (const auto& [lock, purchase] : (*wallet)->Purchases())
        if (purchase.key && purchase.terms && purchase.terms->key == point)
            return crypto::SecretKey::FromBytes(purchase.key->bytes);
    for (const auto& [output, gift] : (*wallet)->Gifts())
        if (gift.point == point) return crypto::SecretKey::FromBytes(gift.key.bytes);
    return std::nullopt;
}

std::optional<crypto::SecretKey> KeyRing::Find(const PubKey& point) {
    if (auto bought = FindBought(point)) return bought;
    Refresh();
    const auto bundled = m_bundled.find(point);
    if (bundled == m_bundled.end()) return std::nullopt;
    return bundled->second.Clone();
}

void KeyRing::Refresh() {
    if (!m_wallet.Exists()) return;
    const auto wallet = m_wallet.Get();
    for (const auto& [lock, purchase] : (*wallet)->Purchases())
        if (purchase.key && purchase.terms && purchase.tier == 0) Look(purchase.publish, purchase.terms->key);
    for (const auto& [output, gift] : (*wallet)->Gifts()) {
        const auto purchase = m_chain.chain().indexes().FindPurchase(gift.purchase);
        if (purchase && *purchase) Look((*purchase)->publish, gift.point);
    }
    for (auto& [anchor, bundle] : m_bundles) Open(bundle);
}

void KeyRing::Look(const OutPoint& publish, const PubKey& point) {
    if (!m_looked.insert({publish, point}).second) return;
    const auto found = m_wallet.FindPublish(publish);
    if (!found) {
        m_looked.erase({publish, point});
        return;
    }
    const PublishRecord& record = found->record;
    if (record.bundle.empty() || record.title_key != point || record.manifest_chunks != 0 ||
        PlainSize(record.content.size_bytes) > kMaxBundleBytes)
        return;
    Bundle bundle{
        publish, {found->claim, record.title, record.content, point, false, record.bundle, {}}, record};
    m_bundles.emplace(publish, std::move(bundle));
}

void KeyRing::Open(Bundle& bundle) {
    if (bundle.view.here) return;
    const auto stored = m_chunks.Find(bundle.record.content);
    if (!stored || !stored->IsComplete()) {
        if (m_fetch) m_fetch(bundle.record);
        return;
    }
    auto key = FindBought(bundle.view.key);
    const auto layout = SealedLayout::FromRecord(bundle.record);
    if (!key || !layout) return;
    PlainReader reader(*stored,
                       ChunkCipher(ContentKeys::FromTitleKey(key->Clone()), bundle.record.sealing_salt, *layout));
    Bytes plain(reader.size_bytes());
    const Status read = reader.Read(0, plain);
    if (!read && read.error().kind != ErrorKind::kInvalid) return;
    bundle.view.here = true;
    // Small, and without it the keys are not here.
    const Status pinned = m_chunks.Pin(bundle.record.content, true);
    if (!pinned) LogWarning("sale", "{}", pinned.error().message);
    bool whole = read.has_value();
    for (BundledKey& inside : OpenBundle(bundle.record.bundle, read ? ByteSpan(plain) : ByteSpan())) {
        bundle.view.good.push_back(inside.key.has_value());
        whole = whole && inside.key.has_value();
        if (inside.key) m_bundled.insert_or_assign(inside.title.key, std::move(*inside.key));
    }
    WipeMemory(plain.data(), plain.size());
    if (whole) return;
    LogWarning("sale", "the bundle '{}' does not hold all keys that its record promises", bundle.view.title);
    if (m_on_false) m_on_false(bundle.anchor, *key);
}

std::vector<BundleView> KeyRing::Bundles() {
    Refresh();
    std::vector<BundleView> views;
    for (const auto& [anchor, bundle] : m_bundles) views.push_back(bundle.view);
    return views;
}

std::optional<ClaimId> KeyRing::WaitsForBundle(const PubKey& point) {
    for (const auto& [anchor, bundle] : m_bundles) {
        if (bundle.view.here) continue;
        for (const BundledTitle& title : bundle.view.titles)
            if (title.key == point) return bundle.view.claim;
    }
    return std::nullopt;
}

}  // namespace sluice::node
