#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "content/swarm.h"
#include "storage/file_system.h"

namespace sluice::node {

// Content that this node serves, and at what price.
struct SeededContent {
    ContentId content;
    Amount ask_per_mib;
    std::optional<Amount> floor_per_mib;  // haggling does not go below it; none: -minpricepermib, or the ask

    static void Serialize(auto& self, auto& archive) {
        archive(self.content, self.ask_per_mib);
        archive.Optional(self.floor_per_mib);
    }
};

// What one payer paid for one content on one day (UTC, counted from 1970). Vouchers of final channels count, on the day
// they came; what settling them costs is not taken off.
struct EarningRow {
    uint32_t day{0};  // 0: of all days that are not kept apart any more
    ContentId content;
    content::NodeId payer;  // zero where payers are not kept apart any more
    uint64_t bytes{0};
    content::Meter value;
};

// What the swarm remembers over restarts: what is served, the channels it pays from, what it knows of payers, its
// accounts, and (in their own log) the vouchers it earned. Writes belong to the disk strand; the contents are read
// once, before that starts. Earnings may be read on any thread.
class SwarmStore {
  public:
    // Rows of accounts; beyond that the oldest are added up, those of one content in one row.
    static constexpr size_t kMaxEarningRows = 50'000;

    static Result<std::unique_ptr<SwarmStore>> Open(storage::FileSystem& files, const std::string& folder,
                                                    size_t max_earning_rows = kMaxEarningRows);

    Result<std::vector<SeededContent>> Seeds() const;
    Result<std::vector<content::PayerChannel>> PayerChannels() const;
    // At most content::kMaxRememberedPayers, those that were seen last.
    Result<std::vector<content::PayerHistory>> PayerHistories() const;
    content::VoucherLog& vouchers() { return *m_vouchers; }
    // By day, oldest first.
    std::vector<EarningRow> Earnings() const;

    Status SaveSeed(const SeededContent& seed);
    Status ForgetSeed(const ContentId& content);
    // Synced. Rationale: a voucher that was forgotten is shown by the payee again, but a payer that forgot the channel
    // itself, or what it received, owes a debt that it does not know of, and is served no more.
    Status SavePayerChannel(const content::PayerChannel& channel);
    Status ForgetPayerChannel(const OutPoint& channel);
    Status SavePayerHistory(const std::vector<content::PayerHistory>& changed);
    Status AddEarnings(uint32_t day, const std::vector<content::EarnedShare>& shares);

  private:
    struct RowKey {
        uint32_t day{0};
        ContentId content;
        content::NodeId payer;
        auto operator<=>(const RowKey&) const = default;
    };
    struct RowSums {
        uint64_t bytes{0};
        content::Meter value;
        static void Serialize(auto& self, auto& archive) { archive(self.bytes, self.value); }
    };
    SwarmStore() = default;
    Status LoadEarnings();
    // The oldest rows into those of day 0.
    void Fold(storage::WriteBatch& batch);
    static Bytes EarningKey(const RowKey& key);

    std::unique_ptr<storage::KeyValueStore> m_store;
    std::unique_ptr<content::VoucherLog> m_vouchers;
    size_t m_max_earning_rows{kMaxEarningRows};
    mutable std::mutex m_mutex;
    std::map<RowKey, RowSums> m_earnings;  // under m_mutex
    uint64_t m_history_order{0};           // rises with each history that is saved
};

}  // namespace sluice::node
