#include "content/voucher.h"

#include <algorithm>

namespace sluice::content {
namespace {

using Wide = unsigned __int128;

constexpr uint8_t kSaveEntry = 1;
constexpr uint8_t kForgetEntry = 2;
constexpr uint64_t kMaxBackupBytes = uint64_t{256} << 20;
constexpr uint8_t kNetworkEntry = 3;            // of copies alone, the first
constexpr uint8_t kSeedEntry = 4;               // likewise
constexpr uint64_t kCompactAtBytes = 64 << 10;  // and four times what the live channels need

Wide Units(const Meter& meter) { return Wide{meter.high} << 64 | meter.low; }
Meter FromUnits(Wide units) { return {static_cast<uint64_t>(units), static_cast<uint64_t>(units >> 64)}; }

template <class T>
Bytes EntryOf(uint8_t kind, const T& value) {
    Writer writer;
    writer(kind, value);
    return writer.Take();
}
Bytes SaveEntry(const PayeeChannel& channel) { return EntryOf(kSaveEntry, channel); }

Status IgnoreEntry(ByteSpan) { return {}; }

// Takes one entry of a log or a copy up; false if it is of another form.
bool TakeEntry(ByteSpan entry, std::map<OutPoint, PayeeChannel>& channels) {
    Reader reader(entry);
    uint8_t kind = 0;
    reader(kind);
    if (kind == kSaveEntry) {
        PayeeChannel channel;
        reader(channel);
        if (!reader.Ok() || reader.Left() != 0) return false;
        channels[channel.lock.outpoint] = channel;
        return true;
    }
    if (kind != kForgetEntry) return false;
    OutPoint outpoint;
    reader(outpoint);
    if (!reader.Ok() || reader.Left() != 0) return false;
    channels.erase(outpoint);
    return true;
}

}  // namespace

void Meter::Add(uint64_t bytes, Amount price_per_mib) {
    *this = FromUnits(Units(*this) + Wide{bytes} * price_per_mib.drops);
}

void Meter::Subtract(uint64_t bytes, Amount price_per_mib) {
    const Wide units = Wide{bytes} * price_per_mib.drops;
    *this = units < Units(*this) ? FromUnits(Units(*this) - units) : Meter{};
}

Amount Meter::Owed() const {
    const Wide drops = (Units(*this) + ((1 << 20) - 1)) >> 20;
    return drops > kMaxSupply.drops ? kMaxSupply : Amount(static_cast<uint64_t>(drops));
}

Amount Meter::OwedAfter(uint64_t bytes, Amount price_per_mib) const {
    Meter after = *this;
    after.Add(bytes, price_per_mib);
    return after.Owed();
}

std::optional<consensus::LockTemplate> ChannelLock::Template() const {
    return consensus::MakeLockTemplate(payer_key, payee_key, expiry);
}

std::optional<Voucher> SignVoucher(const ChannelLock& lock, const consensus::LockTemplate& lock_template,
                                   const crypto::SecretKey& payer_key, Amount returned) {
    if (returned < kMinReturned || returned > lock.capacity) return std::nullopt;
    const Hash256 hash = consensus::SingleOutputSighash(lock.outpoint, {lock.capacity, lock_template.output_script},
                                                        lock_template, {returned, lock.return_script});
    return Voucher{lock.outpoint, returned, payer_key.Sign(hash)};
}

std::optional<Voucher> SignVoucher(const ChannelLock& lock, const crypto::SecretKey& payer_key, Amount returned) {
    const auto lock_template = lock.Template();
    return lock_template ? SignVoucher(lock, *lock_template, payer_key, returned) : std::nullopt;
}

Status VerifyVoucher(const ChannelLock& lock, const consensus::LockTemplate& lock_template, const Voucher& voucher) {
    if (voucher.outpoint != lock.outpoint) return Fail("the voucher is of another channel");
    if (voucher.returned < kMinReturned)
        return Fail("the voucher returns " + std::to_string(voucher.returned.drops) +
                    " drops, less than the least output of " + std::to_string(kMinReturned.drops));
    if (voucher.returned > lock.capacity) return Fail("the voucher returns more than the channel holds");
    const Hash256 hash = consensus::SingleOutputSighash(lock.outpoint, {lock.capacity, lock_template.output_script},
                                                        lock_template, {voucher.returned, lock.return_script});
    if (!crypto::VerifySchnorr(lock.payer_key, hash, voucher.signature))
        return Fail("the voucher's signature is not the payer's");
    return {};
}

Status VerifyVoucher(const ChannelLock& lock, const Voucher& voucher) {
    const auto lock_template = lock.Template();
    if (!lock_template) return Fail("the channel's keys or expiry cannot be");
    return VerifyVoucher(lock, *lock_template, voucher);
}

Result<std::unique_ptr<VoucherLog>> VoucherLog::Open(storage::FileSystem& files, std::string path) {
    std::unique_ptr<VoucherLog> log(new VoucherLog(files, std::move(path)));
    ASSIGN_OR_RETURN(
        log->m_log, storage::AppendLog::Open(files, log->m_path, [&](ByteSpan record) { return log->Replay(record); }));
    return log;
}

Status VoucherLog::Replay(ByteSpan record) {
    if (TakeEntry(record, m_channels)) return {};
    return Fail(ErrorKind::kEnvironment,
                "the voucher log " + m_path + " holds an entry of another format: restore it from a backup");
}

Result<VoucherBackup> ReadVoucherBackup(storage::FileSystem& files, const std::string& path, const BlockHash& genesis,
                                        const std::string& scratch) {
    if (!files.Exists(path)) return Fail(ErrorKind::kNotFound, "there is no file " + path);
    // Opening a log cuts off what is torn: of a file that is somebody else's that would be all of it.
    ASSIGN_OR_RETURN(Bytes bytes, storage::ReadWholeFile(files, path, kMaxBackupBytes));
    const Status copied = storage::WriteFileAtomically(files, scratch, bytes);
    WipeMemory(bytes.data(), bytes.size());
    RETURN_IF_ERROR(copied);
    std::map<OutPoint, PayeeChannel> channels;
    VoucherBackup backup;
    bool first = true;
    const auto log = storage::AppendLog::Open(files, scratch, [&](ByteSpan entry) -> Status {
        const uint8_t kind = entry.empty() ? 0 : entry[0];
        if (std::exchange(first, false)) {
            const auto network =
                kind == kNetworkEntry ? Decode<BlockHash>(entry.subspan(1)) : Result<BlockHash>(Fail(""));
            if (!network) return Fail(path + " is no backup of vouchers");
            if (*network != genesis) return Fail(path + " holds vouchers of another network");
            return {};
        }
        if (kind == kSeedEntry && entry.size() == 33) {
            SecretBytes<32> seed;
            std::copy(entry.begin() + 1, entry.end(), seed.data());
            backup.seeds.push_back(std::move(seed));
            return {};
        }
        if (TakeEntry(entry, channels)) return {};
        return Fail(path + " holds an entry of another format: a newer version may have written it");
    });
    RETURN_IF_ERROR(files.Remove(scratch));
    if (!log) return Fail(log.error());
    if (first) return Fail(path + " is no backup of vouchers");
    for (auto& [outpoint, channel] : channels) backup.channels.push_back(std::move(channel));
    return backup;
}

Status VoucherLog::Save(const PayeeChannel& channel) {
    const auto known = m_channels.find(channel.lock.outpoint);
    if (known != m_channels.end() && channel.returned > known->second.returned)
        return Fail("a voucher that returns more than the stored one is not stored");
    const Bytes entry = SaveEntry(channel);
    RETURN_IF_ERROR(m_log->Append(entry, true));
    m_channels[channel.lock.outpoint] = channel;
    AppendToCopy(entry);
    return CompactIfWorthIt();
}

Status VoucherLog::Forget(const OutPoint& channel) {
    if (!m_channels.contains(channel)) return {};
    Writer writer;
    writer(kForgetEntry, channel);
    RETURN_IF_ERROR(m_log->Append(writer.bytes(), true));
    m_channels.erase(channel);
    AppendToCopy(writer.bytes());
    return CompactIfWorthIt();
}

Status VoucherLog::CompactIfWorthIt() {
    if (m_log->size_bytes() < kCompactAtBytes || m_channels.empty()) return {};
    uint64_t live_bytes = 0;
    for (const auto& [outpoint, channel] : m_channels) live_bytes += SaveEntry(channel).size() + 8;
    if (m_log->size_bytes() < 4 * live_bytes) return {};
    const std::string fresh = m_path + ".new";
    if (m_files.Exists(fresh)) RETURN_IF_ERROR(m_files.Remove(fresh));
    {
        ASSIGN_OR_RETURN(const auto log,
                         storage::AppendLog::Open(m_files, fresh, [](ByteSpan) -> Status { return {}; }));
        size_t left = m_channels.size();
        for (const auto& [outpoint, channel] : m_channels)
            RETURN_IF_ERROR(log->Append(SaveEntry(channel), --left == 0));
    }
    RETURN_IF_ERROR(m_files.Rename(fresh, m_path));
    ASSIGN_OR_RETURN(m_log, storage::AppendLog::Open(m_files, m_path, [&](ByteSpan record) { return Replay(record); }));
    return {};
}

Status VoucherLog::WriteCopy(const std::string& path, const BlockHash& genesis,
                             const std::vector<SecretBytes<32>>& seeds) const {
    const std::string fresh = path + ".new";
    if (m_files.Exists(fresh)) RETURN_IF_ERROR(m_files.Remove(fresh));
    {
        ASSIGN_OR_RETURN(const auto log, storage::AppendLog::Open(m_files, fresh, IgnoreEntry));
        RETURN_IF_ERROR(log->Append(EntryOf(kNetworkEntry, genesis), false));
        for (const auto& seed : seeds) {
            Bytes entry{kSeedEntry};
            entry.insert(entry.end(), seed.span().begin(), seed.span().end());
            const Status appended = log->Append(entry, false);
            WipeMemory(entry.data(), entry.size());
            RETURN_IF_ERROR(appended);
        }
        for (const auto& [outpoint, channel] : m_channels) RETURN_IF_ERROR(log->Append(SaveEntry(channel), false));
        RETURN_IF_ERROR(log->Append(EntryOf(kForgetEntry, OutPoint{}), true));  // syncs all of them
    }
    return m_files.Rename(fresh, path);
}

Status VoucherLog::KeepCopy(const std::string& path, const BlockHash& genesis, std::vector<SecretBytes<32>> seeds) {
    if (m_files.Exists(path)) {
        ASSIGN_OR_RETURN(VoucherBackup backup, ReadVoucherBackup(m_files, path, genesis, m_path + ".import"));
        for (const PayeeChannel& channel : backup.channels) {
            const auto known = m_channels.find(channel.lock.outpoint);
            if (known == m_channels.end() || channel.returned < known->second.returned) RETURN_IF_ERROR(Save(channel));
        }
        for (auto& seed : backup.seeds) {
            const bool known = std::any_of(seeds.begin(), seeds.end(), [&](const auto& other) {
                return std::equal(seed.span().begin(), seed.span().end(), other.span().begin());
            });
            if (!known) seeds.push_back(std::move(seed));
        }
    }
    m_copy = Copy{path, genesis, std::move(seeds), nullptr};
    AppendToCopy({});
    if (m_copy_error) return Fail(*m_copy_error);
    return {};
}

// An empty entry: only sees to it that the copy is there.
void VoucherLog::AppendToCopy(const Bytes& entry) {
    if (!m_copy) return;
    const auto attempt = [&]() -> Status {
        const bool large =
            m_copy->log && m_copy->log->size_bytes() > std::max(kCompactAtBytes, 4 * m_log->size_bytes());
        if (m_copy->log && !large) return entry.empty() ? Status() : m_copy->log->Append(entry, true);
        m_copy->log.reset();
        RETURN_IF_ERROR(WriteCopy(m_copy->path, m_copy->genesis, m_copy->seeds));
        ASSIGN_OR_RETURN(m_copy->log, storage::AppendLog::Open(m_files, m_copy->path, IgnoreEntry));
        return {};
    };
    const Status copied = attempt();
    m_copy_error.reset();
    if (copied) return;
    m_copy->log.reset();
    m_copy_error = Error{copied.error().kind, "the copy of the vouchers at " + m_copy->path +
                                                  " cannot be written: " + copied.error().message};
}

}  // namespace sluice::content
