#pragma once

#include <map>

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

class CreditBook {
  public:
    explicit CreditBook(CreditLimits limits = {}) : m_limits(limits) {}

    // Bytes of credit that a payer may have out at once.
    uint64_t WindowBytes(const PayerId& payer) const;
    uint64_t UnpaidBytes(const PayerId& payer) const;
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

  private:
    struct Payer {
        AddressGroup group{0};
        uint64_t unpaid_bytes{0};
        uint64_t paid_bytes{0};  // since the last default
        bool defaulted{false};
    };
    void Release(Payer& payer, uint64_t bytes);

    CreditLimits m_limits;
    std::map<PayerId, Payer> m_payers;
    std::map<AddressGroup, uint64_t> m_group_unpaid_bytes;
    uint64_t m_unpaid_bytes{0};
    uint64_t m_uploaded_bytes{0};
    std::optional<Instant> m_last_write_off;
};

}  // namespace sluice::content
