#include "node/claims.h"

#include <fmt/format.h>

#include <set>

namespace sluice::node {

using namespace content;

namespace {

constexpr size_t kMinClaimPrefix = 6;
constexpr size_t kFeedPage = 200;
constexpr size_t kMostNamed = 100;

}  // namespace

std::optional<ClaimInfo> Claims::InfoOf(const OutPoint& anchor) const {
    const auto publish = m_wallet.FindPublish(anchor);
    const auto entry = m_chain.chain().indexes().FindPublish(anchor);
    if (!publish || !entry || !*entry) return std::nullopt;
    const bool live = m_chain.chain().state().Get<consensus::ClaimState>(publish->claim).has_value();
    return ClaimInfo{publish->claim, anchor, (*entry)->place.height, live, publish->record};
}

Result<ClaimId> Claims::Resolve(const std::string& text) const {
    if (const auto id = ClaimId::FromHex(text)) {
        ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesOf(*id, 1));
        if (publishes.empty())
            return Fail(ErrorKind::kNotFound, "the claim " + text + " is not known: see 'feed' for claims that are");
        return *id;
    }
    const bool digits = text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!digits || text.size() < kMinClaimPrefix || text.size() > 64)
        return Fail(fmt::format("'{}' is not a claim: give its id, or at least its first {} hexadecimal digits",
                                text.substr(0, 80), kMinClaimPrefix));
    std::string lower = text;
    for (char& c : lower) c = c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
    ASSIGN_OR_RETURN(const auto found, m_chain.chain().indexes().ClaimsByPrefix(lower, kMostNamed));
    if (found.empty())
        return Fail(ErrorKind::kNotFound, "no claim begins with " + text + ": see 'feed' for claims that are known");
    if (found.size() > 1)
        return Fail(fmt::format("{}{} claims begin with {}: give more digits",
                                found.size() == kMostNamed ? "over " : "", found.size(), text));
    return found[0];
}

Result<ClaimInfo> Claims::Find(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesOf(claim));
    if (publishes.empty()) return Fail(ErrorKind::kNotFound, "the claim " + claim.Hex() + " is not known");
    auto info = InfoOf(publishes.back().anchor);
    if (!info) return Fail(ErrorKind::kEnvironment, "the record of claim " + claim.Hex() + " cannot be read");
    return std::move(*info);
}

Result<std::vector<ClaimInfo>> Claims::List(size_t count, size_t skip) const {
    std::vector<ClaimInfo> result;
    std::set<ClaimId> seen;
    std::optional<chain::ChainPlace> before;
    while (result.size() < count) {
        ASSIGN_OR_RETURN(const auto page, m_chain.chain().indexes().Feed(before, kFeedPage));
        if (page.empty()) break;
        for (const chain::PublishEntry& entry : page) {
            if (result.size() == count) break;
            if (!seen.insert(entry.claim).second) continue;
            auto info = InfoOf(entry.anchor);
            if (!info || !info->live) continue;
            if (skip > 0)
                --skip;
            else
                result.push_back(std::move(*info));
        }
        before = page.back().place;
    }
    return result;
}

Result<std::vector<ClaimUse>> Claims::UsesOf(const ContentId& content) const {
    ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesWith(content));
    std::vector<ClaimUse> uses;
    for (const chain::PublishEntry& entry : publishes) {
        auto info = InfoOf(entry.anchor);
        if (!info) continue;
        const ClaimUse::As as = info->record.content == content   ? ClaimUse::As::kSealed
                                : info->record.preview == content ? ClaimUse::As::kPreview
                                                                  : ClaimUse::As::kThumbnail;
        uses.push_back({std::move(*info), as});
    }
    return uses;
}

std::optional<OutPoint> Claims::FindPurchase(const ClaimInfo& info, uint16_t tier) const {
    const auto wallet = m_wallet.Get();
    if (!wallet || tier > info.record.segments.size()) return std::nullopt;
    const PubKey& key = tier == 0 ? info.record.title_key : info.record.segments[tier - 1].key;
    for (const auto& [lock, purchase] : (*wallet)->Purchases()) {
        // Rationale: by the key, not by the publish: an update keeps the key that earlier buyers have.
        const bool same =
            purchase.publish == info.anchor ? purchase.tier == tier : purchase.terms && purchase.terms->key == key;
        if (same && purchase.status != wallet::PurchaseStatus::kRefunded &&
            purchase.status != wallet::PurchaseStatus::kFailed)
            return lock;
    }
    return std::nullopt;
}

std::optional<ContentKeys> Claims::KeysOf(const PublishRecord& record) const {
    if (record.free_key) {
        auto key = crypto::SecretKey::FromBytes(record.free_key->bytes);
        if (key) return ContentKeys::FromTitleKey(std::move(*key));
    }
    if (auto key = m_keys.Find(record.title_key)) return ContentKeys::FromTitleKey(std::move(*key));
    if (m_wallet.Exists()) {
        crypto::SecretKey own =
            DeriveTitleKey((*m_wallet.Get())->ContentMasterKey(), m_chain.chain().genesis_hash(), record.title_salt);
        if (own.Public() == record.title_key) return ContentKeys::FromTitleKey(std::move(own));
    }
    std::optional<ContentKeys> some;
    for (uint32_t i = 0; i < record.segments.size(); ++i) {
        auto key = m_keys.Find(record.segments[i].key);
        if (!key) continue;
        if (!some) some.emplace();
        some->AddSegmentKey(i, std::move(*key));
    }
    return some;
}

Result<Claims::Openable> Claims::FindOpenable(const ClaimId& claim) const {
    ASSIGN_OR_RETURN(const auto publishes, m_chain.chain().indexes().PublishesOf(claim));
    if (publishes.empty())
        return Fail(ErrorKind::kNotFound, "the claim " + claim.Hex() + " is not known: see 'feed' for claims that are");
    std::string waiting;
    if (const auto wallet = m_wallet.Get()) {
        for (const auto& [lock, purchase] : (*wallet)->Purchases())
            if (purchase.terms && purchase.terms->claim == claim && !purchase.key)
                waiting = std::string(PurchaseStatusName(purchase.status));
    }
    std::optional<ClaimId> bundle;
    for (auto entry = publishes.rbegin(); entry != publishes.rend(); ++entry) {
        auto info = InfoOf(entry->anchor);
        if (!info) continue;
        if (auto keys = KeysOf(info->record)) return Openable{std::move(*info), std::move(*keys)};
        if (!bundle) bundle = m_keys.WaitsForBundle(info->record.title_key);
    }
    if (bundle)
        return Fail(ErrorKind::kUnavailable, "the key is in the bundle " + bundle->Hex().substr(0, 12) +
                                                 ", whose content is still being fetched: try again when it is here "
                                                 "('listbundles')");
    if (!waiting.empty())
        return Fail(ErrorKind::kUnavailable,
                    "the purchase of this key is " + waiting + ": " +
                        (waiting == "failed" ? "the seller's key is not what the record promised"
                         : waiting == "refunded"
                             ? "the money came back; buy it again to try again"
                             : "wait for the seller's grant ('buy " + claim.Hex().substr(0, 12) + " --wait')"));
    return Fail(ErrorKind::kNoKey, "this wallet does not have the key of claim " + claim.Hex().substr(0, 12) +
                                             ": buy it first with 'buy " + claim.Hex().substr(0, 12) + "'");
}

}  // namespace sluice::node
