#include "content/voucher.h"

namespace sluice::content {
namespace {

using Wide = unsigned __int128;

constexpr uint8_t kSaveEntry = 1;
constexpr uint8_t kForgetEntry = 2;
constexpr uint64_t kCompactAtBytes = 64 << 10;  // and four times what the live channels need

Wide Units(const Meter& meter) { return Wide{meter.high} << 64 | meter.low; }
Meter FromUnits(Wide units) { return {static_cast<uint64_t>(units), static_cast<uint64_t>(units >> 64)}; }

Bytes SaveEntry(const PayeeChannel& channel) {
    Writer writer;
    writer(kSaveEntry, channel);
    return writer.Take();
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

std::optional<Voucher> SignVoucher(const ChannelLock& lock, const crypto::SecretKey& payer_key, Amount returned) {
    const auto lock_template = lock.Template();
    if (!lock_template || returned < kMinReturned || returned > lock.capacity) return std::nullopt;
    const Hash256 hash = consensus::SingleOutputSighash(lock.outpoint, {lock.capacity, lock_template->output_script},
                                                        *lock_template, {returned, lock.return_script});
    return Voucher{lock.outpoint, returned, payer_key.Sign(hash)};
}

Status VerifyVoucher(const ChannelLock& lock, const Voucher& voucher) {
    if (voucher.outpoint != lock.outpoint) return Fail("the voucher is of another channel");
    if (voucher.returned < kMinReturned)
        return Fail("the voucher returns " + std::to_string(voucher.returned.drops) +
                    " drops, less than the least output of " + std::to_string(kMinReturned.drops));
    if (voucher.returned > lock.capacity) return Fail("the voucher returns more than the channel holds");
    const auto lock_template = lock.Template();
    if (!lock_template) return Fail("the channel's keys or expiry cannot be");
    const Hash256 hash = consensus::SingleOutputSighash(lock.outpoint, {lock.capacity, lock_template->output_script},
                                                        *lock_template, {voucher.returned, lock.return_script});
    if (!crypto::VerifySchnorr(lock.payer_key, hash, voucher.signature))
        return Fail("the voucher's signature is not the payer's");
    return {};
}

Result<std::unique_ptr<VoucherLog>> VoucherLog::Open(storage::FileSystem& files, std::string path) {
    std::unique_ptr<VoucherLog> log(new VoucherLog(files, std::move(path)));
    ASSIGN_OR_RETURN(
        log->m_log, storage::AppendLog::Open(files, log->m_path, [&](ByteSpan record) { return log->Replay(record); }));
    return log;
}

Status VoucherLog::Replay(ByteSpan record) {
    Reader reader(record);
    uint8_t kind = 0;
    reader(kind);
    if (kind == kSaveEntry) {
        PayeeChannel channel;
        reader(channel);
        if (reader.Ok() && reader.Left() == 0) {
            m_channels[channel.lock.outpoint] = channel;
            return {};
        }
    } else if (kind == kForgetEntry) {
        OutPoint outpoint;
        reader(outpoint);
        if (reader.Ok() && reader.Left() == 0) {
            m_channels.erase(outpoint);
            return {};
        }
    }
    return Fail(ErrorKind::kEnvironment,
                "the voucher log " + m_path + " holds an entry of another format: restore it from a backup");
}

Status VoucherLog::Save(const PayeeChannel& channel) {
    const auto known = m_channels.find(channel.lock.outpoint);
    if (known != m_channels.end() && channel.returned > known->second.returned)
        return Fail("a voucher that returns more than the stored one is not stored");
    RETURN_IF_ERROR(m_log->Append(SaveEntry(channel), true));
    m_channels[channel.lock.outpoint] = channel;
    return CompactIfWorthIt();
}

Status VoucherLog::Forget(const OutPoint& channel) {
    if (!m_channels.contains(channel)) return {};
    Writer writer;
    writer(kForgetEntry, channel);
    RETURN_IF_ERROR(m_log->Append(writer.bytes(), true));
    m_channels.erase(channel);
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

}  // namespace sluice::content
