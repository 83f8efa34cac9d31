#include "node/swarm_store.h"

#include <algorithm>

namespace sluice::node {
namespace {

constexpr uint8_t kSeedTable = 's';
constexpr uint8_t kPayerChannelTable = 'p';
constexpr uint8_t kHistoryTable = 'h';
constexpr uint8_t kEarningTable = 'e';
constexpr size_t kCacheBytes = 4 << 20;

// With its place in the order in which they were saved.
struct StoredHistory {
    uint64_t order{0};
    content::PayerHistory history;

    static void Serialize(auto& self, auto& archive) { archive(self.order, self.history); }
};

template <class Key>
Bytes TableKey(uint8_t table, const Key& key) {
    Writer writer;
    writer(table, key);
    return writer.Take();
}

Error Damaged(const std::string& why) { return {ErrorKind::kEnvironment, "the swarm's store is damaged: " + why}; }

template <class T>
Result<std::vector<T>> ReadTable(const storage::KeyValueStore& store, uint8_t table) {
    std::vector<T> result;
    Status decoded;
    const Bytes prefix{table};
    RETURN_IF_ERROR(store.Scan(prefix, {}, [&](ByteSpan, ByteSpan value) {
        auto one = Decode<T>(value);
        if (!one)
            decoded = Fail(Damaged(one.error().message));
        else
            result.push_back(std::move(*one));
        return decoded.has_value();
    }));
    RETURN_IF_ERROR(decoded);
    return result;
}

void AddTo(content::Meter& sum, const content::Meter& more) {
    const auto units = [](const content::Meter& m) {
        return static_cast<unsigned __int128>(m.high) << 64 | static_cast<unsigned __int128>(m.low);
    };
    const auto total = units(sum) + units(more);
    sum = {static_cast<uint64_t>(total), static_cast<uint64_t>(total >> 64)};
}

}  // namespace

Result<std::unique_ptr<SwarmStore>> SwarmStore::Open(storage::FileSystem& files, const std::string& folder,
                                                     size_t max_earning_rows) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    std::unique_ptr<SwarmStore> store(new SwarmStore());
    store->m_max_earning_rows = max_earning_rows;
    ASSIGN_OR_RETURN(store->m_store, files.OpenKeyValue(folder + "/store", kCacheBytes));
    ASSIGN_OR_RETURN(store->m_vouchers, content::VoucherLog::Open(files, folder + "/vouchers.log"));
    RETURN_IF_ERROR(store->LoadEarnings());
    ASSIGN_OR_RETURN(const auto histories, ReadTable<StoredHistory>(*store->m_store, kHistoryTable));
    for (const StoredHistory& stored : histories)
        store->m_history_order = std::max(store->m_history_order, stored.order);
    return store;
}

Result<std::vector<SeededContent>> SwarmStore::Seeds() const { return ReadTable<SeededContent>(*m_store, kSeedTable); }

Result<std::vector<content::PayerChannel>> SwarmStore::PayerChannels() const {
    return ReadTable<content::PayerChannel>(*m_store, kPayerChannelTable);
}

Result<std::vector<content::PayerHistory>> SwarmStore::PayerHistories() const {
    ASSIGN_OR_RETURN(auto stored, ReadTable<StoredHistory>(*m_store, kHistoryTable));
    std::sort(stored.begin(), stored.end(), [](const auto& a, const auto& b) { return a.order > b.order; });
    storage::WriteBatch batch;
    for (size_t i = content::kMaxRememberedPayers; i < stored.size(); ++i)
        batch.Delete(TableKey(kHistoryTable, stored[i].history.payer));
    if (stored.size() > content::kMaxRememberedPayers) {
        RETURN_IF_ERROR(m_store->Write(batch, false));
        stored.resize(content::kMaxRememberedPayers);
    }
    std::vector<content::PayerHistory> histories;
    for (auto oldest = stored.rbegin(); oldest != stored.rend(); ++oldest) histories.push_back(oldest->history);
    return histories;
}

Status SwarmStore::SaveSeed(const SeededContent& seed) {
    storage::WriteBatch batch;
    batch.Put(TableKey(kSeedTable, seed.content), Encode(seed));
    return m_store->Write(batch, true);
}

Status SwarmStore::ForgetSeed(const ContentId& content) {
    storage::WriteBatch batch;
    batch.Delete(TableKey(kSeedTable, content));
    return m_store->Write(batch, true);
}

Status SwarmStore::SavePayerChannel(const content::PayerChannel& channel) {
    storage::WriteBatch batch;
    batch.Put(TableKey(kPayerChannelTable, channel.lock.outpoint), Encode(channel));
    return m_store->Write(batch, true);
}

Status SwarmStore::ForgetPayerChannel(const OutPoint& channel) {
    storage::WriteBatch batch;
    batch.Delete(TableKey(kPayerChannelTable, channel));
    return m_store->Write(batch, false);
}

Status SwarmStore::SavePayerHistory(const std::vector<content::PayerHistory>& changed) {
    storage::WriteBatch batch;
    for (const content::PayerHistory& history : changed) {
        if (history.paid_bytes == 0 && !history.defaulted)
            batch.Delete(TableKey(kHistoryTable, history.payer));
        else
            batch.Put(TableKey(kHistoryTable, history.payer), Encode(StoredHistory{++m_history_order, history}));
    }
    return m_store->Write(batch, false);
}

// Days in big-endian, so that a scan goes from the oldest to the newest.
Bytes SwarmStore::EarningKey(const RowKey& key) {
    Writer writer;
    writer(kEarningTable);
    for (int shift = 24; shift >= 0; shift -= 8) writer(static_cast<uint8_t>(key.day >> shift));
    writer(key.content, key.payer);
    return writer.Take();
}

Status SwarmStore::LoadEarnings() {
    Status decoded;
    RETURN_IF_ERROR(m_store->Scan(Bytes{kEarningTable}, {}, [&](ByteSpan key, ByteSpan value) {
        Reader reader(key);
        RowKey row;
        uint8_t byte = 0;
        reader(byte);
        for (int i = 0; i < 4; ++i) {
            reader(byte);
            row.day = row.day << 8 | byte;
        }
        reader(row.content, row.payer);
        const auto sums = Decode<RowSums>(value);
        if (!reader.Ok() || reader.Left() != 0 || !sums)
            decoded = Fail(Damaged("an account does not decode"));
        else
            m_earnings[row] = *sums;
        return decoded.has_value();
    }));
    return decoded;
}

void SwarmStore::Fold(storage::WriteBatch& batch) {
    if (m_earnings.size() <= m_max_earning_rows) return;
    for (auto row = m_earnings.lower_bound({1, {}, {}});
         row != m_earnings.end() && m_earnings.size() > m_max_earning_rows * 9 / 10;) {
        RowSums& sums = m_earnings[{0, row->first.content, {}}];
        sums.bytes += row->second.bytes;
        AddTo(sums.value, row->second.value);
        batch.Put(EarningKey({0, row->first.content, {}}), Encode(sums));
        batch.Delete(EarningKey(row->first));
        row = m_earnings.erase(row);
    }
}

Status SwarmStore::AddEarnings(uint32_t day, const std::vector<content::EarnedShare>& shares) {
    storage::WriteBatch batch;
    const std::lock_guard lock(m_mutex);
    for (const content::EarnedShare& share : shares) {
        const RowKey key{std::max(day, 1u), share.content, share.payer};
        RowSums& sums = m_earnings[key];
        sums.bytes += share.bytes;
        AddTo(sums.value, share.value);
        batch.Put(EarningKey(key), Encode(sums));
    }
    Fold(batch);
    return m_store->Write(batch, false);
}

std::vector<EarningRow> SwarmStore::Earnings() const {
    const std::lock_guard lock(m_mutex);
    std::vector<EarningRow> rows;
    for (const auto& [key, sums] : m_earnings)
        rows.push_back({key.day, key.content, key.payer, sums.bytes, sums.value});
    return rows;
}

}  // namespace sluice::node
