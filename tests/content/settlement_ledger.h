#pragma once

#include "../consensus/ledger_fixture.h"
#include "content/settlement.h"

// Channels that stand on a test ledger, each with a voucher, ready to be settled.

namespace sluice::content::testing {

inline SecretBytes<32> LedgerSeed() {
    SecretBytes<32> seed;
    seed.data()[5] = 9;
    return seed;
}
inline const BlockHash kLedgerGenesis{{4, 4}};

// `count` confirmed channels of `capacity`, whose vouchers pay `paid` each to the payee of LedgerSeed.
inline std::vector<PayeeChannel> VouchedChannels(consensus::testing::Ledger& ledger, size_t count, Amount capacity,
                                                 Amount paid) {
    const crypto::SecretKey payer = consensus::testing::TestKey(1);
    const Height expiry = ledger.next_height() + ledger.params.channel_window_blocks;
    std::vector<PayeeChannel> channels;
    for (size_t i = 0; i < count; ++i) {
        PayeeChannel channel;
        channel.payer_node = crypto::X25519PublicKey{{1}};
        for (size_t byte = 0; byte < 4; ++byte) channel.salt.bytes[byte] = static_cast<uint8_t>(i >> (8 * byte));
        channel.lock.payer_key = payer.XOnly();
        channel.lock.payee_key = DerivePayeeKey(LedgerSeed(), kLedgerGenesis, channel.payer_node, channel.salt).XOnly();
        channel.lock.expiry = expiry;
        channel.lock.capacity = capacity;
        channel.lock.return_script = consensus::testing::KeyScript(3);
        consensus::Coin coin;
        coin.kind = consensus::CoinKind::kChannel;
        coin.height = ledger.height;
        channel.lock.outpoint = ledger.Fund({capacity, channel.lock.Template()->output_script}, coin);
        ledger.state.Put(channel.lock.outpoint,
                         consensus::ChannelState{channel.lock.payer_key, channel.lock.payee_key, expiry});
        channel.returned = Amount(capacity.drops - paid.drops);
        channel.signature = SignVoucher(channel.lock, payer, channel.returned)->signature;
        channel.served_bytes = 1'000'000 + i;
        channel.phase = ChannelPhase::kFinal;
        channels.push_back(std::move(channel));
    }
    return channels;
}

}  // namespace sluice::content::testing
