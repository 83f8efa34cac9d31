#include "content/channel.h"

#include "primitives/script.h"

namespace sluice::content {

uint32_t SettleMarginBlocks(const consensus::Params& params) { return params.channel_window_blocks / 10; }

bool TakesDebt(const consensus::Params& params, const ChannelLock& lock, Height height) {
    return uint64_t{height.value} + SettleMarginBlocks(params) < lock.expiry.value;
}

crypto::SecretKey DerivePayeeKey(const SecretBytes<32>& seed, const BlockHash& genesis,
                                 const crypto::X25519PublicKey& payer_node, const ChannelSalt& salt) {
    Writer info;
    info.Raw(AsBytes("Sluice/channel-payee"));
    info(genesis, payer_node, salt);
    for (uint8_t counter = 0;; ++counter) {  // a hash that is no key has a chance of 2^-128
        Bytes labelled = info.bytes();
        labelled.push_back(counter);
        SecretBytes<32> bytes;
        crypto::HkdfSha256(seed.span(), {}, labelled, bytes.span());
        if (auto key = crypto::SecretKey::FromBytes(bytes.span())) return std::move(*key);
    }
}

PayeeSeeds PayeeSeeds::Clone() const {
    PayeeSeeds copy;
    for (const auto& seed : m_seeds) copy.m_seeds.push_back(seed.Clone());
    return copy;
}

void PayeeSeeds::Add(SecretBytes<32> seed) { m_seeds.insert(m_seeds.begin(), std::move(seed)); }
void PayeeSeeds::AddOlder(SecretBytes<32> seed) { m_seeds.push_back(std::move(seed)); }

std::optional<crypto::SecretKey> PayeeSeeds::Find(const BlockHash& genesis, const crypto::X25519PublicKey& payer_node,
                                                  const ChannelSalt& salt, const XOnlyPubKey& payee_key) const {
    for (const auto& seed : m_seeds) {
        crypto::SecretKey key = DerivePayeeKey(seed, genesis, payer_node, salt);
        if (key.XOnly() == payee_key) return key;
    }
    return std::nullopt;
}

Hash256 ChannelOpenHash(const BlockHash& genesis, const ChannelLock& lock, const ChannelSalt& salt,
                        const crypto::X25519PublicKey& payer_node, const crypto::X25519PublicKey& payee_node) {
    Writer writer;
    writer(genesis, lock, salt, payer_node, payee_node);
    return crypto::TaggedHash("Sluice/channel-open", writer.bytes());
}

std::optional<Voucher> PayerChannel::Pay(const consensus::LockTemplate& lock_template,
                                         const crypto::SecretKey& payer_key) {
    if (closed) return std::nullopt;
    const Amount owed = meter.Owed();
    if (owed.drops == 0) return std::nullopt;
    const Amount due = std::min(std::max(owed, first_voucher), Spendable());
    if (due <= Paid()) return std::nullopt;
    auto voucher = SignVoucher(lock, lock_template, payer_key, Amount(lock.capacity.drops - due.drops));
    if (voucher) returned = voucher->returned;
    return voucher;
}

void PayerChannel::Restore(Amount shown_returned, const std::optional<SchnorrSignature>& signature) {
    if (!signature || shown_returned >= returned) return;
    if (VerifyVoucher(lock, {lock.outpoint, shown_returned, *signature})) returned = shown_returned;
}

Status CheckChannelOpen(const consensus::Params& params, const BlockHash& genesis, Height tip, const ChannelOpen& open,
                        const crypto::X25519PublicKey& payer_node, const crypto::X25519PublicKey& payee_node,
                        const XOnlyPubKey& our_key) {
    if (open.payee_key != our_key) return Fail("payee_key is not the one of our terms");
    const ChannelLock lock{open.outpoint, open.payer_key, open.payee_key,
                           open.expiry,   open.capacity,  open.return_script};
    if (!lock.Template()) return Fail("payer_key or expiry cannot be");
    if (open.capacity <= kMinReturned)
        return Fail("capacity is not over the least output of " + std::to_string(kMinReturned.drops) + " drops");
    const auto script = ParseOutputScript(open.return_script);
    if (!script || script->kind != OutputKind::kTaproot) return Fail("return_script is no taproot output");
    if (!TakesDebt(params, lock, tip))
        return Fail("expiry is nearer than the settling margin of " + std::to_string(SettleMarginBlocks(params)) +
                    " blocks");
    const Hash256 hash = ChannelOpenHash(genesis, lock, open.salt, payer_node, payee_node);
    if (!crypto::VerifySchnorr(open.payer_key, hash, open.signature))
        return Fail("signature is not the payer key's over both node ids");
    return {};
}

Status CheckChannelFacts(const ChannelLock& lock, const ChannelFacts& facts) {
    const auto lock_template = lock.Template();
    if (!lock_template || facts.output != TxOutput{lock.capacity, lock_template->output_script})
        return Fail("the channel's output is not as the opening says");
    if (facts.state != consensus::ChannelState{lock.payer_key, lock.payee_key, lock.expiry})
        return Fail("the channel's record is not as the opening says");
    return {};
}

Status AcceptVoucher(PayeeChannel& channel, const consensus::LockTemplate& lock_template, const Voucher& voucher,
                     Amount first_voucher) {
    if (voucher.returned >= channel.returned) return Fail("the voucher does not pay more than the one before");
    RETURN_IF_ERROR(VerifyVoucher(channel.lock, lock_template, voucher));
    const Amount paid(channel.lock.capacity.drops - voucher.returned.drops);
    const Amount most(channel.lock.capacity.drops - kMinReturned.drops);
    if (!channel.signature && paid < std::min(first_voucher, most))
        return Fail("the first voucher pays " + std::to_string(paid.drops) + " drops, settling it is worth " +
                    std::to_string(first_voucher.drops));
    channel.returned = voucher.returned;
    channel.signature = voucher.signature;
    return {};
}

}  // namespace sluice::content
