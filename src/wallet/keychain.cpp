#include "wallet/keychain.h"

namespace sluice::wallet {
namespace {

using crypto::SecretKey;

// One child in 2^127 has no key: the wallet then cannot be made from this seed.
Result<ExtendedPrivateKey> DeriveRoot(const ExtendedPrivateKey& master, std::initializer_list<uint32_t> hardened) {
    std::vector<uint32_t> path;
    for (const uint32_t step : hardened) path.push_back(step | kHardened);
    auto derived = master.DerivePath(path);
    if (!derived) return Fail("the seed gives no key: take another one");
    return std::move(*derived);
}

SecretBytes<32> RootSecret(const ExtendedPrivateKey& key) { return SecretBytes<32>(key.key.bytes().first<32>()); }

// The first of HKDF(root; label, context, 0), HKDF(root; label, context, 1), ... that is a scalar. One in 2^128 is not.
SecretKey DeriveScalar(const SecretBytes<32>& root, std::string_view label, ByteSpan context) {
    for (uint32_t counter = 0;; ++counter) {
        Writer info;
        info.Raw(AsBytes(label));
        info.Raw(context);
        info(counter);
        SecretBytes<32> candidate;
        crypto::HkdfSha256(root.span(), {}, info.bytes(), candidate.span());
        if (auto scalar = SecretKey::FromBytes(candidate.span())) return std::move(*scalar);
    }
}

}  // namespace

Keychain::Keychain(ExtendedPrivateKey account, std::array<ExtendedPublicKey, 2> chains, SecretBytes<32> content,
                   SecretBytes<32> buyer, SecretBytes<32> payer, SecretBytes<32> payee, SecretBytes<32> gift)
    : m_account(std::move(account)),
      m_chains(chains),
      m_content(std::move(content)),
      m_buyer(std::move(buyer)),
      m_payer(std::move(payer)),
      m_payee(std::move(payee)),
      m_gift(std::move(gift)) {}

Result<Keychain> Keychain::FromSeed(const Seed& seed, uint32_t coin_type) {
    ASSIGN_OR_RETURN(const ExtendedPrivateKey master, ExtendedPrivateKey::FromSeed(seed.span()));
    ASSIGN_OR_RETURN(ExtendedPrivateKey account, DeriveRoot(master, {86, coin_type, 0}));
    const ExtendedPublicKey account_public = account.Neuter();
    const auto receive = account_public.Derive(0), change = account_public.Derive(1);
    if (!receive || !change) return Fail("the seed gives no key: take another one");
    ASSIGN_OR_RETURN(const auto content, DeriveRoot(master, {kContentPurpose, coin_type, 0}));
    ASSIGN_OR_RETURN(const auto buyer, DeriveRoot(master, {kContentPurpose, coin_type, 1}));
    ASSIGN_OR_RETURN(const auto payer, DeriveRoot(master, {kContentPurpose, coin_type, 2}));
    ASSIGN_OR_RETURN(const auto payee, DeriveRoot(master, {kContentPurpose, coin_type, 3}));
    ASSIGN_OR_RETURN(const auto gift, DeriveRoot(master, {kContentPurpose, coin_type, 4}));
    return Keychain(std::move(account), {*receive, *change}, RootSecret(content), RootSecret(buyer), RootSecret(payer),
                    RootSecret(payee), RootSecret(gift));
}

XOnlyPubKey Keychain::OutputKey(KeyPath path) const {
    const auto child = m_chains[static_cast<size_t>(path.chain)].Derive(path.index);
    CHECK(child.has_value());  // fails for one index in 2^127
    const auto output = crypto::TapTweak(crypto::ToXOnly(child->key), std::nullopt);
    CHECK(output.has_value());
    return output->key;
}

SecretKey Keychain::OutputSecret(KeyPath path) const {
    const uint32_t steps[] = {static_cast<uint32_t>(path.chain), path.index};
    const auto child = m_account.DerivePath(steps);
    CHECK(child.has_value());
    auto tweaked = child->key.TapTweak(std::nullopt);
    CHECK(tweaked.has_value());
    return std::move(*tweaked);
}

std::optional<KeyPath> Keychain::Find(const XOnlyPubKey& output_key) const {
    const auto found = m_found.find(output_key);
    if (found == m_found.end()) return std::nullopt;
    return found->second;
}

void Keychain::Watch(KeyChain chain, uint32_t count) {
    uint32_t& watched = m_watched[static_cast<size_t>(chain)];
    for (; watched < count; ++watched) m_found.emplace(OutputKey({chain, watched}), KeyPath{chain, watched});
}

SecretKey Keychain::BuyerKey(const OutPoint& first_input) const {
    return DeriveScalar(m_buyer, "Sluice/buyer-key", Encode(first_input));
}

SecretKey Keychain::ChannelPayerKey(const OutPoint& first_input, uint32_t lock_index) const {
    Writer context;
    context(first_input, lock_index);
    return DeriveScalar(m_payer, "Sluice/payer-key", context.bytes());
}

SecretKey Keychain::ChannelPayeeKey(const std::array<uint8_t, 32>& label) const {
    return DeriveScalar(m_payee, "Sluice/payee-key", label);
}

}  // namespace sluice::wallet
