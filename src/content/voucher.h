#pragma once

#include <map>
#include <memory>

#include "consensus/templates.h"
#include "content/messages.h"
#include "storage/append_log.h"

// Money inside a channel: what is owed, and the vouchers that pay it (protocol.md §5).
//
// A voucher is the payer's SINGLE|ANYONECANPAY signature over {X, return script}: "this input may be spent if the
// output of its index returns X to me". The payee takes capacity - X; a better voucher has a lower X.

namespace sluice::content {

inline constexpr Amount kMinReturned{330};  // dust: X is never below

// What bytes at a price per MiB add up to, exactly: 2^-20 drops. Rounded up once, in Owed.
struct Meter {
    uint64_t low{0}, high{0};  // a 128-bit sum

    friend bool operator==(const Meter&, const Meter&) = default;
    static void Serialize(auto& self, auto& archive) { archive(self.low, self.high); }
    void Add(uint64_t bytes, Amount price_per_mib);
    // Never below zero.
    void Subtract(uint64_t bytes, Amount price_per_mib);
    Amount Owed() const;
    // Owed() after adding.
    Amount OwedAfter(uint64_t bytes, Amount price_per_mib) const;
};

// What a channel is on the chain, and where it returns money to.
struct ChannelLock {
    OutPoint outpoint;
    XOnlyPubKey payer_key;
    XOnlyPubKey payee_key;
    Height expiry;
    Amount capacity;
    Script return_script;

    friend bool operator==(const ChannelLock&, const ChannelLock&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.outpoint, self.payer_key, self.payee_key, self.expiry, self.capacity);
        archive.VarBytes(self.return_script, 42);
    }
    // The lock output's template and the output itself; nullopt if a key or the height cannot be.
    std::optional<consensus::LockTemplate> Template() const;
};

// nullopt if `returned` is below kMinReturned or over the capacity, or the lock cannot be. The template, the lock's own,
// costs more than the signature: who signs or verifies many vouchers of a channel keeps it.
std::optional<Voucher> SignVoucher(const ChannelLock& lock, const consensus::LockTemplate& lock_template,
                                   const crypto::SecretKey& payer_key, Amount returned);
std::optional<Voucher> SignVoucher(const ChannelLock& lock, const crypto::SecretKey& payer_key, Amount returned);
// An error says what is wrong: X out of range or a signature that does not verify.
Status VerifyVoucher(const ChannelLock& lock, const consensus::LockTemplate& lock_template, const Voucher& voucher);
Status VerifyVoucher(const ChannelLock& lock, const Voucher& voucher);

// What a payee keeps of a channel: enough to settle it with nothing else but its seed.
enum class ChannelPhase : uint8_t {
    kKnown = 1,  // the opening waits in a mempool or is not deep enough: everything is credit
    kFinal = 2,
    kSettling = 3,  // no more debt is taken on: it is being settled
    kClosed = 4,    // spent on the chain (settled or refunded)
};
struct PayeeChannel {
    ChannelLock lock;
    crypto::X25519PublicKey payer_node;
    ChannelSalt salt;
    Amount returned;                            // of the highest voucher, or the capacity
    std::optional<SchnorrSignature> signature;  // of the highest voucher
    Meter meter;                                // everything delivered on it
    uint64_t served_bytes{0};
    ChannelPhase phase{ChannelPhase::kKnown};
    Amount first_voucher;  // what the terms asked of it

    friend bool operator==(const PayeeChannel&, const PayeeChannel&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.lock, self.payer_node, self.salt, self.returned);
        archive.Optional(self.signature);
        archive(self.meter, self.served_bytes, self.phase, self.first_voucher);
    }
    Amount Paid() const { return Amount(lock.capacity.drops - returned.drops); }
};

// What a copy of a voucher log holds: with the wallet's phrase, all that settling the channels takes. `seeds` are those
// that do not come from a wallet's phrase: whoever has them and the vouchers can take what was earned.
struct VoucherBackup {
    std::vector<PayeeChannel> channels;
    std::vector<SecretBytes<32>> seeds;
};
// Reads a copy, to the last whole entry; the file is left as it is (`scratch`, a path of ours, is used meanwhile).
// kNotFound; kInvalid if it is none, or of another network.
Result<VoucherBackup> ReadVoucherBackup(storage::FileSystem& files, const std::string& path, const BlockHash& genesis,
                                        const std::string& scratch);

// The payee's channels with their highest vouchers, on disk.
class VoucherLog {
  public:
    // Opens or makes `path` and replays it.
    static Result<std::unique_ptr<VoucherLog>> Open(storage::FileSystem& files, std::string path);
    // Returns once the channel as it is now survives power loss. A voucher with a higher X than the stored one is
    // refused (kInvalid).
    Status Save(const PayeeChannel& channel);
    // Closed channels may be forgotten.
    Status Forget(const OutPoint& channel);

    // Writes a copy to `path`, which replaces a file there at once or not at all. `seeds`: see VoucherBackup.
    Status WriteCopy(const std::string& path, const BlockHash& genesis,
                     const std::vector<SecretBytes<32>>& seeds) const;
    // Keeps such a copy from now on: every later Save is in it, synced, when it returns. What the file there has and
    // this log has not (of a lost machine) is taken over first. A copy that cannot be written does not keep vouchers
    // from being saved: copy_error says why, and every later Save tries again.
    Status KeepCopy(const std::string& path, const BlockHash& genesis, std::vector<SecretBytes<32>> seeds);
    const std::optional<Error>& copy_error() const { return m_copy_error; }

    const std::map<OutPoint, PayeeChannel>& channels() const { return m_channels; }
    uint64_t size_bytes() const { return m_log->size_bytes(); }

  private:
    VoucherLog(storage::FileSystem& files, std::string path) : m_files(files), m_path(std::move(path)) {}
    Status Replay(ByteSpan record);
    // Writes the live channels alone to a new log and puts it in the place of this one.
    Status CompactIfWorthIt();
    void AppendToCopy(const Bytes& entry);

    struct Copy {
        std::string path;
        BlockHash genesis;
        std::vector<SecretBytes<32>> seeds;
        std::unique_ptr<storage::AppendLog> log;  // null: it has to be written anew
    };
    storage::FileSystem& m_files;
    const std::string m_path;
    std::unique_ptr<storage::AppendLog> m_log;
    std::map<OutPoint, PayeeChannel> m_channels;
    std::optional<Copy> m_copy;
    std::optional<Error> m_copy_error;
};

}  // namespace sluice::content
