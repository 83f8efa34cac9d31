#include "node/swarm_store.h"

namespace sluice::node {
namespace {

constexpr uint8_t kSeedTable = 's';
constexpr uint8_t kPayerChannelTable = 'p';
constexpr size_t kCacheBytes = 4 << 20;

template <class Key>
Bytes TableKey(uint8_t table, const Key& key) {
    Writer writer;
    writer(table, key);
    return writer.Take();
}

template <class T>
Result<std::vector<T>> ReadTable(const storage::KeyValueStore& store, uint8_t table) {
    std::vector<T> result;
    Status decoded;
    const Bytes prefix{table};
    RETURN_IF_ERROR(store.Scan(prefix, {}, [&](ByteSpan, ByteSpan value) {
        auto one = Decode<T>(value);
        if (!one)
            decoded = Fail(ErrorKind::kEnvironment, "the swarm's store is damaged: " + one.error().message);
        else
            result.push_back(std::move(*one));
        return decoded.has_value();
    }));
    RETURN_IF_ERROR(decoded);
    return result;
}

}  // namespace

Result<std::unique_ptr<SwarmStore>> SwarmStore::Open(storage::FileSystem& files, const std::string& folder) {
    RETURN_IF_ERROR(files.CreateDirectories(folder));
    std::unique_ptr<SwarmStore> store(new SwarmStore());
    ASSIGN_OR_RETURN(store->m_store, files.OpenKeyValue(folder + "/store", kCacheBytes));
    ASSIGN_OR_RETURN(store->m_vouchers, content::VoucherLog::Open(files, folder + "/vouchers.log"));
    return store;
}

Result<std::vector<SeededContent>> SwarmStore::Seeds() const { return ReadTable<SeededContent>(*m_store, kSeedTable); }

Result<std::vector<content::PayerChannel>> SwarmStore::PayerChannels() const {
    return ReadTable<content::PayerChannel>(*m_store, kPayerChannelTable);
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

}  // namespace sluice::node
