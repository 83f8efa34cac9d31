#pragma once

#include <optional>
#include <string>
#include <vector>

#include "content/keys.h"
#include "node/wallet_service.h"

namespace sluice::node {

// A claim as people see it.
struct ClaimInfo {
    ClaimId id;
    OutPoint anchor;  // of the publish whose terms these are
    Height height;    // of that publish
    bool live{true};  // false: retired
    PublishRecord record;
};

// What was published, and what of it this wallet can open. Belongs to the chain strand.
class Claims {
  public:
    Claims(ChainService& chain, WalletService& wallet) : m_chain(chain), m_wallet(wallet) {}

    // By whole id or by a prefix of at least 6 digits; the error says if it is unknown or not unique.
    Result<ClaimId> Resolve(const std::string& text) const;
    Result<ClaimInfo> Find(const ClaimId& claim) const;
    // Newest first, each claim once with its newest terms.
    Result<std::vector<ClaimInfo>> List(size_t count, size_t skip) const;
    // The newest publish of the claim that this wallet can open, with its keys. The error says what to do.
    struct Openable {
        ClaimInfo info;
        content::ContentKeys keys;
    };
    Result<Openable> FindOpenable(const ClaimId& claim) const;

  private:
    std::optional<ClaimInfo> InfoOf(const OutPoint& anchor) const;

    ChainService& m_chain;
    WalletService& m_wallet;
};

}  // namespace sluice::node
