#pragma once

#include <map>
#include <set>
#include <vector>

#include "content/merkle.h"
#include "crypto/aead.h"
#include "util/clock.h"

// How much a payee delivers before it is paid (protocol.md §5). Everything not covered by a voucher of a final channel
// is credit:
//
//   window of a payer   max(1 chunk, chunks paid in final channels / 16), at most 64; back to 1 chunk after a default
//   all payers          at most 2 % of what was ever uploaded, but at least a floor
//   each address group  a quarter of that floor (IPv4 /24, IPv6 /48): identities are free, addresses are not
//
// A thief gets at most one window. What was never paid is written off over a day, so that the floor heals.

namespace sluice::content {

inline constexpr uint32_t kMaxCreditChunks = 64;
inline constexpr uint32_t kPaidChunksPerCreditChunk = 16;

struct CreditLimits {
    uint64_t floor_bytes{uint64_t{64} << 20};
    uint64_t group_bytes{uint64_t{16} << 20};
    uint32_t upload_permille{20};
    seconds write_off{86'400};  // time in which floor_bytes of lost credit are forgotten
};

using PayerId = crypto::X25519PublicKey;  // a payer's node id
using AddressGroup = uint64_t;            // equal for addresses of one /24 or /48

// What is remembered of a payer for as long as it lasts.
struct PayerHistory {
    PayerId payer;
    uint64_t paid_bytes{0};  // since the last default
    bool defaulted{false};

    friend bool operator==(const PayerHistory&, const PayerHistory&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.payer, self.paid_bytes, self.defaulted); }
};
inline constexpr size_t kMaxRememberedPayers = 10'000;

class CreditBook {
  public:
    explicit CreditBook(CreditLimits limits = {}) : m_limits(limits) {}

    // Bytes of credit that a payer may have out at once.
    uint64_t WindowBytes(const PayerId& payer) const;
    uint64_t UnpaidBytes(const PayerId& payer) const;
    // True if it paid for something since its last default.
    bool HasPaid(const PayerId& payer) const;
    uint64_t total_unpaid_bytes() const { return m_unpaid_bytes; }
    uint64_t LimitBytes() const;

    enum class Answer { kYes, kWaitForPayment, kBudgetUsedUp };
    // May `bytes` more go to this payer on credit?
    Answer MayDeliver(const PayerId& payer, AddressGroup group, uint64_t bytes) const;
    void OnDelivered(const PayerId& payer, AddressGroup group, uint64_t bytes);
    // A voucher of a final channel (or the channel becoming final) covered `bytes`.
    void OnPaid(const PayerId& payer, uint64_t bytes);
    // Sent for nothing, or taken back before it left.
    void OnReturned(const PayerId& payer, uint64_t bytes);
    // The payer left with a debt, or its channel closed without paying: the window is 1 chunk again, the debt stays
    // until written off.
    void OnDefault(const PayerId& payer);
    // Free uploads widen the budget too.
    void OnFreeUpload(uint64_t bytes) { m_uploaded_bytes += bytes; }
    void Tick(Instant now);
    // From before a restart; at most kMaxRememberedPayers are kept, those that were longest away leave first.
    void Restore(const PayerHistory& history);
    // The payers whose history changed since the last call; at once after a default, else at most once a minute.
    std::vector<PayerHistory> TakeChanged(Instant now);
    size_t remembered() const { return m_payers.size(); }

  private:
    struct Payer {
        AddressGroup group{0};
        uint64_t unpaid_bytes{0};
        uint64_t paid_bytes{0};  // since the last default
        bool defaulted{false};
        uint64_t used{0};  // rises: the lowest was longest away
    };
    Payer& Use(const PayerId& payer);
    void Release(Payer& payer, uint64_t bytes);

    CreditLimits m_limits;
    std::map<PayerId, Payer> m_payers;
    std::map<AddressGroup, uint64_t> m_group_unpaid_bytes;
    uint64_t m_unpaid_bytes{0};
    uint64_t m_uploaded_bytes{0};
    std::optional<Instant> m_last_write_off;
    std::map<uint64_t, PayerId> m_by_use;
    uint64_t m_uses{0};
    std::set<PayerId> m_changed;
    bool m_urgent{false};  // a default is among them
    std::optional<Instant> m_changed_since;
};

}  // namespace sluice::content
