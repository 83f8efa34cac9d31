#include "wallet/wallet.h"

#include <fmt/format.h>

#include "primitives/script.h"

namespace sluice::wallet {

WalletNetwork WalletNetwork::For(const consensus::Genesis& genesis) {
    const Block block = genesis.MakeBlock();
    WalletNetwork network{genesis.params, block.header.Hash(), {}};
    const Transaction& coinbase = *block.transactions[0];
    for (size_t i = genesis.allocations.size(); i < coinbase.outputs().size(); ++i)
        network.bonds.emplace(coinbase.Output(static_cast<uint32_t>(i)),
                              genesis.stakers[i - genesis.allocations.size()].id);
    return network;
}

Wallet::Wallet(storage::KeyValueStore& store, WalletNetwork network, WalletLookups lookups, RandomSource& random,
               Keychain keychain, uint32_t gap_limit)
    : m_network(std::move(network)),
      m_lookups(std::move(lookups)),
      m_random(random),
      m_keychain(std::move(keychain)),
      m_store(store),
      m_gap_limit(std::clamp(gap_limit, kMinGapLimit, kMaxGapLimit)) {}

Result<bool> Wallet::Exists(const storage::KeyValueStore& store) {
    // HasSeed only reads.
    return WalletStore(const_cast<storage::KeyValueStore&>(store)).HasSeed();
}

Result<std::unique_ptr<Wallet>> Wallet::MakeFromSeed(storage::KeyValueStore& store, WalletNetwork network,
                                                     WalletLookups lookups, RandomSource& random, const Seed& seed,
                                                     std::optional<ScanCursor> tip, uint32_t gap_limit) {
    ASSIGN_OR_RETURN(const bool exists, Exists(store));
    if (exists) return Fail("there is a wallet already: use another data folder for another one");
    ASSIGN_OR_RETURN(Keychain keychain, Keychain::FromSeed(seed, Keychain::CoinType(network.params)));
    WalletStore::Meta meta;
    meta.genesis = network.genesis;
    meta.cursor = tip;
    std::unique_ptr<Wallet> wallet(
        new Wallet(store, std::move(network), std::move(lookups), random, std::move(keychain), gap_limit));
    RETURN_IF_ERROR(wallet->m_store.WriteSeed(seed, meta));
    wallet->WatchAhead();
    return wallet;
}

Result<Wallet::Created> Wallet::Create(storage::KeyValueStore& store, WalletNetwork network, WalletLookups lookups,
                                       RandomSource& random, size_t words, std::optional<ScanCursor> tip,
                                       uint32_t gap_limit) {
    ASSIGN_OR_RETURN(SecretText phrase, GenerateMnemonic(random, words));
    ASSIGN_OR_RETURN(const Seed seed, MnemonicToSeed(phrase.text()));
    ASSIGN_OR_RETURN(auto wallet,
                     MakeFromSeed(store, std::move(network), std::move(lookups), random, seed, tip, gap_limit));
    return Created{std::move(wallet), std::move(phrase)};
}

Result<std::unique_ptr<Wallet>> Wallet::Restore(storage::KeyValueStore& store, WalletNetwork network,
                                                WalletLookups lookups, RandomSource& random, std::string_view phrase,
                                                std::string_view passphrase, uint32_t gap_limit) {
    ASSIGN_OR_RETURN(const SecretText normal, NormalizeMnemonic(phrase));
    ASSIGN_OR_RETURN(const Seed seed, MnemonicToSeed(normal.text(), passphrase));
    return MakeFromSeed(store, std::move(network), std::move(lookups), random, seed, {}, gap_limit);
}

Result<std::unique_ptr<Wallet>> Wallet::Load(storage::KeyValueStore& store, WalletNetwork network,
                                             WalletLookups lookups, RandomSource& random, uint32_t gap_limit) {
    ASSIGN_OR_RETURN(const Seed seed, WalletStore(store).ReadSeed());
    ASSIGN_OR_RETURN(Keychain keychain, Keychain::FromSeed(seed, Keychain::CoinType(network.params)));
    std::unique_ptr<Wallet> wallet(
        new Wallet(store, std::move(network), std::move(lookups), random, std::move(keychain), gap_limit));
    RETURN_IF_ERROR(wallet->m_store.Load());
    if (wallet->m_store.meta().genesis != wallet->m_network.genesis)
        return Fail("the wallet belongs to another network: its genesis block is " +
                    wallet->m_store.meta().genesis.Hex());
    wallet->WatchAhead();
    return wallet;
}

void Wallet::WatchAhead() {
    for (const KeyChain chain : {KeyChain::kReceive, KeyChain::kChange}) {
        const auto i = static_cast<size_t>(chain);
        m_keychain.Watch(chain, std::max(m_store.meta().used[i], m_store.meta().next[i]) + m_gap_limit);
    }
}

void Wallet::MarkUsed(KeyPath path) {
    const auto i = static_cast<size_t>(path.chain);
    WalletStore::Meta meta = m_store.meta();
    if (path.index < meta.used[i]) return;
    meta.used[i] = path.index + 1;
    meta.next[i] = std::max(meta.next[i], meta.used[i]);
    m_store.SetMeta(std::move(meta));
    WatchAhead();
}

Result<Script> Wallet::NewReceiveScript(const std::string& label) {
    WalletStore::Meta meta = m_store.meta();
    // Beyond, a restored wallet would not look for it.
    if (meta.next[0] - meta.used[0] >= m_gap_limit)
        return Fail(ErrorKind::kUnavailable, fmt::format("{} addresses wait for their first payment: use one of them, "
                                                         "or a payment to a late one would not be found "
                                                         "again from the phrase",
                                                         m_gap_limit));
    const Script script = TaprootScript(m_keychain.OutputKey({KeyChain::kReceive, meta.next[0]}));
    ++meta.next[0];
    m_store.SetMeta(std::move(meta));
    if (!label.empty()) m_store.SetLabel(script, label);
    RETURN_IF_ERROR(m_store.Flush(true));
    WatchAhead();
    return script;
}

Result<crypto::SecretKey> Wallet::ChannelPayerKey(const OutPoint& lock) const {
    const auto channel = m_store.channels().find(lock);
    if (channel == m_store.channels().end())
        return Fail(ErrorKind::kNotFound, "no channel of this wallet is at " + lock.ToString());
    return m_keychain.ChannelPayerKey(channel->second.first_input, lock.index);
}

Status Wallet::SetLabel(const Script& script, const std::string& label) {
    m_store.SetLabel(script, label);
    return m_store.Flush(true);
}

std::string Wallet::LabelOf(const Script& script) const {
    const auto found = m_store.labels().find(script);
    return found == m_store.labels().end() ? std::string() : found->second;
}

Status Wallet::LockCoin(const OutPoint& outpoint, bool locked) {
    const auto coin = m_store.coins().find(outpoint);
    if (coin == m_store.coins().end() || coin->second.spent_by)
        return Fail(ErrorKind::kNotFound, "no unspent output of this wallet is at " + outpoint.ToString());
    m_store.SetLocked(outpoint, locked);
    return m_store.Flush(true);
}

Height Wallet::NextHeight() const { return cursor() ? cursor()->height + 1 : Height(0); }

bool Wallet::IsMature(const OwnedCoin& coin) const {
    return !coin.coinbase || (coin.height && NextHeight() - *coin.height >= int64_t{m_network.params.k});
}

Height Wallet::DefaultRefundHeight() const {
    const uint32_t window = m_network.params.refund_window_blocks;
    return NextHeight() + (window + window / 10 + 10);
}

Height Wallet::DefaultChannelExpiry() const {
    const uint32_t window = m_network.params.channel_window_blocks;
    return NextHeight() + (window + window / 10 + 10);
}

}  // namespace sluice::wallet
