#pragma once

#include "content/channel.h"
#include "node/environment.h"
#include "wallet/wallet.h"

namespace sluice::node {

// Where the keys of the channels come from that this node earns from. With a wallet: its phrase, so that phrase and
// vouchers are enough to settle them on another machine. Without one, a random seed in swarm/payee_seed, which stays
// for the channels from that time and goes into backups of vouchers. Restored ones are in swarm/restored_seeds.
struct KnownPayeeSeeds {
    content::PayeeSeeds all;
    std::vector<SecretBytes<32>> loose;  // those that the phrase does not give
};

// The same for a phrase and network everywhere.
SecretBytes<32> WalletPayeeSeed(const wallet::Wallet& wallet, const BlockHash& genesis);
// `folder` is the chain's; `wallet` may be null.
Result<KnownPayeeSeeds> LoadPayeeSeeds(const Environment& environment, const std::string& folder,
                                       const BlockHash& genesis, const wallet::Wallet* wallet);
// Remembers seeds of a backup; those that are there already are left out.
Status SaveRestoredSeeds(const Environment& environment, const std::string& folder,
                         const std::vector<SecretBytes<32>>& seeds);

// 32 secret bytes that last: read from `path`, or made and written there.
Result<SecretBytes<32>> LoadSecret(const Environment& environment, const std::string& path);

}  // namespace sluice::node
