#pragma once

#include <optional>
#include <string>
#include <vector>

#include "content/keys.h"
#include "node/key_ring.h"

namespace sluice::node {

// A claim as people see it.
struct ClaimInfo {
    ClaimId id;
    OutPoint anchor;  // of the publish whose terms these are
    Height height;    // of that publish
    bool live{true};  // false: retired
    PublishRecord record;
};

// That a publish names a content, and as what.
struct ClaimUse {
    ClaimInfo claim;
    enum class As { kSealed, kPreview, kThumbnail } as{As::kSealed};
};

// What was published, and what of it this wallet can open. Belongs to the chain strand.
class Claims {
  public:
    Claims(ChainService& chain, WalletService& wallet, KeyRing& keys)
        : m_chain(chain), m_wallet(wallet), m_keys(keys) {}

    // By whole id or by a prefix of at least 6 digits; the error says if it is unknown or not unique.
    Result<ClaimId> Resolve(const std::string& text) const;
    Result<ClaimInfo> Find(const ClaimId& claim) const;
    // Newest first, each claim once with its newest terms.
    Result<std::vector<ClaimInfo>> List(size_t count, size_t skip) const;
    // The publishes that name a content, oldest first; none: nobody published it, as far as this chain knows.
    Result<std::vector<ClaimUse>> UsesOf(const ContentId& content) const;
    // A purchase of this wallet that brings, or brought, the key that the claim's newest terms sell as `tier`, under
    // whatever terms it was made; none if it came to nothing.
    std::optional<OutPoint> FindPurchase(const ClaimInfo& info, uint16_t tier) const;
    // The newest publish of the claim that this wallet can open, at least in part (segments), with all its keys of it:
    // bought, given, inside a bundle, its own, or free. The error says what to do.
    struct Openable {
        ClaimInfo info;
        content::ContentKeys keys;
    };
    Result<Openable> FindOpenable(const ClaimId& claim) const;

  private:
    std::optional<ClaimInfo> InfoOf(const OutPoint& anchor) const;
    // What opens a publish: its free key, a bought or own title key, else those of its segments' that are here.
    std::optional<content::ContentKeys> KeysOf(const PublishRecord& record) const;

    ChainService& m_chain;
    WalletService& m_wallet;
    KeyRing& m_keys;
};

}  // namespace sluice::node
