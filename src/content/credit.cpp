#include "content/credit.h"

#include <algorithm>

namespace sluice::content {

uint64_t CreditBook::WindowBytes(const PayerId& payer) const {
    const auto found = m_payers.find(payer);
    const uint64_t paid_chunks = found == m_payers.end() ? 0 : found->second.paid_bytes / kChunkBytes;
    return std::clamp<uint64_t>(paid_chunks / kPaidChunksPerCreditChunk, 1, kMaxCreditChunks) * kChunkBytes;
}

bool CreditBook::HasPaid(const PayerId& payer) const {
    const auto found = m_payers.find(payer);
    return found != m_payers.end() && found->second.paid_bytes > 0;
}

uint64_t CreditBook::UnpaidBytes(const PayerId& payer) const {
    const auto found = m_payers.find(payer);
    return found == m_payers.end() ? 0 : found->second.unpaid_bytes;
}

uint64_t CreditBook::LimitBytes() const {
    return std::max(m_limits.floor_bytes, m_uploaded_bytes / 1'000 * m_limits.upload_permille);
}

CreditBook::Answer CreditBook::MayDeliver(const PayerId& payer, AddressGroup group, uint64_t bytes) const {
    if (UnpaidBytes(payer) + bytes > WindowBytes(payer)) return Answer::kWaitForPayment;
    const auto in_group = m_group_unpaid_bytes.find(group);
    const uint64_t group_unpaid = in_group == m_group_unpaid_bytes.end() ? 0 : in_group->second;
    if (group_unpaid + bytes > m_limits.group_bytes || m_unpaid_bytes + bytes > LimitBytes())
        return Answer::kBudgetUsedUp;
    return Answer::kYes;
}

CreditBook::Payer& CreditBook::Use(const PayerId& payer) {
    Payer& entry = m_payers[payer];
    m_by_use.erase(entry.used);
    entry.used = ++m_uses;
    m_by_use.emplace(entry.used, payer);
    // Who owes something is not forgotten: its debt is bounded by the budget, and so is the number of them.
    for (auto oldest = m_by_use.begin(); m_payers.size() > kMaxRememberedPayers && oldest != m_by_use.end();) {
        const auto found = m_payers.find(oldest->second);
        if (found->second.unpaid_bytes > 0 || oldest->second == payer) {
            ++oldest;
            continue;
        }
        m_payers.erase(found);
        oldest = m_by_use.erase(oldest);
    }
    return m_payers.at(payer);
}

void CreditBook::Restore(const PayerHistory& history) {
    Payer& entry = Use(history.payer);
    entry.paid_bytes = history.paid_bytes;
    entry.defaulted = history.defaulted;
}

std::vector<PayerHistory> CreditBook::TakeChanged(Instant now) {
    std::vector<PayerHistory> changed;
    if (m_changed.empty()) return changed;
    if (!m_changed_since) m_changed_since = now;
    if (!m_urgent && now - *m_changed_since < seconds(60)) return changed;
    for (const PayerId& payer : m_changed) {
        const auto found = m_payers.find(payer);
        if (found == m_payers.end())
            changed.push_back({payer, 0, false});
        else
            changed.push_back({payer, found->second.paid_bytes, found->second.defaulted});
    }
    m_changed.clear();
    m_changed_since.reset();
    m_urgent = false;
    return changed;
}

void CreditBook::OnDelivered(const PayerId& payer, AddressGroup group, uint64_t bytes) {
    Payer& entry = Use(payer);
    if (entry.unpaid_bytes > 0 && entry.group != group) {  // it came back from elsewhere: its debt comes along
        m_group_unpaid_bytes[entry.group] -= std::min(m_group_unpaid_bytes[entry.group], entry.unpaid_bytes);
        m_group_unpaid_bytes[group] += entry.unpaid_bytes;
    }
    entry.group = group;
    entry.unpaid_bytes += bytes;
    m_group_unpaid_bytes[group] += bytes;
    m_unpaid_bytes += bytes;
    m_uploaded_bytes += bytes;
}

void CreditBook::Release(Payer& payer, uint64_t bytes) {
    bytes = std::min(bytes, payer.unpaid_bytes);
    payer.unpaid_bytes -= bytes;
    m_unpaid_bytes -= bytes;
    const auto group = m_group_unpaid_bytes.find(payer.group);
    if (group == m_group_unpaid_bytes.end()) return;
    group->second -= std::min(group->second, bytes);
    if (group->second == 0) m_group_unpaid_bytes.erase(group);
}

void CreditBook::OnPaid(const PayerId& payer, uint64_t bytes) {
    const auto found = m_payers.find(payer);
    if (found == m_payers.end()) return;
    const uint64_t covered = std::min(bytes, found->second.unpaid_bytes);
    Release(found->second, covered);
    found->second.paid_bytes += covered;
    found->second.defaulted = false;
    m_changed.insert(payer);
}

void CreditBook::OnReturned(const PayerId& payer, uint64_t bytes) {
    const auto found = m_payers.find(payer);
    if (found == m_payers.end()) return;
    m_uploaded_bytes -= std::min(m_uploaded_bytes, bytes);
    Release(found->second, bytes);
}

void CreditBook::OnDefault(const PayerId& payer) {
    const auto found = m_payers.find(payer);
    if (found == m_payers.end() || found->second.unpaid_bytes == 0) return;
    found->second.paid_bytes = 0;
    found->second.defaulted = true;
    m_changed.insert(payer);
    m_urgent = true;
}

void CreditBook::Tick(Instant now) {
    if (!m_last_write_off) m_last_write_off = now;
    const auto passed = now - *m_last_write_off;
    if (passed < seconds(60)) return;
    const double share = static_cast<double>(std::chrono::duration_cast<seconds>(passed).count()) /
                         static_cast<double>(m_limits.write_off.count());
    uint64_t left = static_cast<uint64_t>(share * static_cast<double>(m_limits.floor_bytes));
    m_last_write_off = now;
    for (auto entry = m_payers.begin(); entry != m_payers.end();) {
        if (entry->second.defaulted && left > 0) {
            const uint64_t forgotten = std::min(left, entry->second.unpaid_bytes);
            Release(entry->second, forgotten);
            left -= forgotten;
        }
        const bool forget = entry->second.defaulted && entry->second.unpaid_bytes == 0;
        if (forget) m_by_use.erase(entry->second.used);
        entry = forget ? m_payers.erase(entry) : std::next(entry);
    }
}

}  // namespace sluice::content
