#pragma once

#include "consensus/state.h"
#include "content/voucher.h"
#include "primitives/record.h"

// Both ends of a payment channel as state machines; no messages, no disk.
//
//   payer:  OnChannelReady -> offered -> accepted (credit) -> final -> full | closed
//   payee:  offered -> known (credit) -> final -> settling -> closed

namespace sluice::content {

// Debts are settled at least this long before the expiry, and none is made inside it: a tenth of the window (25,920
// blocks on main).
uint32_t SettleMarginBlocks(const consensus::Params& params);
// True if a channel may take on new debt at `height`.
bool TakesDebt(const consensus::Params& params, const ChannelLock& lock, Height height);

// The payee's secret for one channel, from a seed that lasts.
crypto::SecretKey DerivePayeeKey(const SecretBytes<32>& seed, const BlockHash& genesis,
                                 const crypto::X25519PublicKey& payer_node, const ChannelSalt& salt);

// Where a payee's channel keys come from: the newest seed gives those of new channels, older ones (of a node that had
// no wallet yet, or of another one whose vouchers were restored) those of channels from their time.
class PayeeSeeds {
  public:
    PayeeSeeds(SecretBytes<32> seed) { m_seeds.push_back(std::move(seed)); }
    PayeeSeeds(PayeeSeeds&&) = default;
    PayeeSeeds& operator=(PayeeSeeds&&) = default;
    PayeeSeeds Clone() const;

    // The newest from now on.
    void Add(SecretBytes<32> seed);
    // Behind the others.
    void AddOlder(SecretBytes<32> seed);
    const SecretBytes<32>& newest() const { return m_seeds.front(); }
    crypto::SecretKey NewKey(const BlockHash& genesis, const crypto::X25519PublicKey& payer_node,
                             const ChannelSalt& salt) const {
        return DerivePayeeKey(newest(), genesis, payer_node, salt);
    }
    // The secret of `payee_key`; nullopt if it is of none of the seeds.
    std::optional<crypto::SecretKey> Find(const BlockHash& genesis, const crypto::X25519PublicKey& payer_node,
                                          const ChannelSalt& salt, const XOnlyPubKey& payee_key) const;

  private:
    PayeeSeeds() = default;
    std::vector<SecretBytes<32>> m_seeds;  // at least one, newest first
};

// taggedhash("Sluice/channel-open", genesis || lock || salt || payer node || payee node): what the payer key signs in
// ChannelOpen.
Hash256 ChannelOpenHash(const BlockHash& genesis, const ChannelLock& lock, const ChannelSalt& salt,
                        const crypto::X25519PublicKey& payer_node, const crypto::X25519PublicKey& payee_node);

// What a payer keeps of a channel, beside the key's secret, which its wallet derives again.
struct PayerChannel {
    ChannelLock lock;
    crypto::X25519PublicKey payee_node;
    ChannelSalt salt;      // from the terms
    Amount first_voucher;  // from the terms
    Amount returned;       // of the last voucher signed, or the capacity
    Meter meter;           // everything received and verified
    uint64_t received_bytes{0};
    bool closed{false};
    Amount opening_cost;  // its share of the fees of its opening

    friend bool operator==(const PayerChannel&, const PayerChannel&) = default;
    static void Serialize(auto& self, auto& archive) {
        archive(self.lock, self.payee_node, self.salt, self.first_voucher, self.returned, self.meter,
                self.received_bytes, self.closed, self.opening_cost);
    }

    Amount Paid() const { return Amount(lock.capacity.drops - returned.drops); }
    // The most that the channel can pay in all.
    Amount Spendable() const { return Amount(lock.capacity.drops - kMinReturned.drops); }
    // True if what is owed and `bytes` more at that price can still be paid.
    bool CanPay(uint64_t bytes, Amount price_per_mib) const {
        return !closed && meter.OwedAfter(bytes, price_per_mib) <= Spendable();
    }
    // The voucher that pays all that is owed (the first: at least first_voucher); nullopt if there is nothing new to
    // pay or to pay it with. The state moves with it.
    std::optional<Voucher> Pay(const consensus::LockTemplate& lock_template, const crypto::SecretKey& payer_key);
    // Takes over a higher voucher that the payee shows: it carries our signature, so we made it and forgot.
    void Restore(Amount shown_returned, const std::optional<SchnorrSignature>& signature);
};

// What a chain or mempool lookup says about a channel's output.
struct ChannelFacts {
    TxOutput output;
    consensus::ChannelState state;
    uint32_t depth{0};  // blocks it is in; 0: waiting in the mempool
};

// Errors name the field: the opening is as the chain says, the keys are ours and theirs, the time is long enough, the
// script is payable.
Status CheckChannelOpen(const consensus::Params& params, const BlockHash& genesis, Height tip, const ChannelOpen& open,
                        const crypto::X25519PublicKey& payer_node, const crypto::X25519PublicKey& payee_node,
                        const XOnlyPubKey& our_key);
Status CheckChannelFacts(const ChannelLock& lock, const ChannelFacts& facts);

// The payee's judgement of a voucher: exact form, X in range and not above the one held, the first covers
// `first_voucher`. On success the channel holds it.
Status AcceptVoucher(PayeeChannel& channel, const consensus::LockTemplate& lock_template, const Voucher& voucher,
                     Amount first_voucher);

}  // namespace sluice::content
