#include "node/payee_seeds.h"

#include <algorithm>

#include "crypto/hash.h"

namespace sluice::node {
namespace {

constexpr size_t kMaxRestoredSeeds = 100;

std::string RestoredPath(const std::string& folder) { return folder + "/swarm/restored_seeds"; }

Result<std::vector<SecretBytes<32>>> LoadRestored(const Environment& environment, const std::string& folder) {
    std::vector<SecretBytes<32>> seeds;
    if (!environment.files.Exists(RestoredPath(folder))) return seeds;
    ASSIGN_OR_RETURN(Bytes bytes,
                     storage::ReadWholeFile(environment.files, RestoredPath(folder), kMaxRestoredSeeds * 32));
    for (size_t at = 0; at + 32 <= bytes.size(); at += 32) {
        SecretBytes<32> seed;
        std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(at), 32, seed.data());
        seeds.push_back(std::move(seed));
    }
    WipeMemory(bytes.data(), bytes.size());
    return seeds;
}

bool Same(const SecretBytes<32>& a, const SecretBytes<32>& b) {
    return std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

}  // namespace

SecretBytes<32> WalletPayeeSeed(const wallet::Wallet& wallet, const BlockHash& genesis) {
    const Hash256 label = crypto::TaggedHash("Sluice/payee-seed", genesis.bytes);
    const crypto::SecretKey key = wallet.ChannelPayeeKey(label.bytes);
    SecretBytes<32> seed;
    std::copy(key.bytes().begin(), key.bytes().end(), seed.data());
    return seed;
}

Result<KnownPayeeSeeds> LoadPayeeSeeds(const Environment& environment, const std::string& folder,
                                       const BlockHash& genesis, const wallet::Wallet* wallet) {
    const std::string path = folder + "/swarm/payee_seed";
    std::vector<SecretBytes<32>> loose;
    if (wallet == nullptr || environment.files.Exists(path)) {
        ASSIGN_OR_RETURN(SecretBytes<32> random, LoadSecret(environment, path));
        loose.push_back(std::move(random));
    }
    ASSIGN_OR_RETURN(auto restored, LoadRestored(environment, folder));
    for (auto& seed : restored) loose.push_back(std::move(seed));
    content::PayeeSeeds all(wallet != nullptr ? WalletPayeeSeed(*wallet, genesis) : loose.front().Clone());
    for (size_t i = wallet != nullptr ? 0 : 1; i < loose.size(); ++i) all.AddOlder(loose[i].Clone());
    return KnownPayeeSeeds{std::move(all), std::move(loose)};
}

Status SaveRestoredSeeds(const Environment& environment, const std::string& folder,
                         const std::vector<SecretBytes<32>>& seeds) {
    ASSIGN_OR_RETURN(auto known, LoadRestored(environment, folder));
    const size_t before = known.size();
    for (const auto& seed : seeds) {
        if (std::none_of(known.begin(), known.end(), [&](const auto& other) { return Same(seed, other); }))
            known.push_back(seed.Clone());
    }
    if (known.size() == before) return {};
    if (known.size() > kMaxRestoredSeeds)
        return Fail("the backup has too many seeds: over " + std::to_string(kMaxRestoredSeeds) + " with those here");
    Bytes bytes;
    for (const auto& seed : known) bytes.insert(bytes.end(), seed.span().begin(), seed.span().end());
    const Status written = storage::WriteFileAtomically(environment.files, RestoredPath(folder), bytes);
    WipeMemory(bytes.data(), bytes.size());
    return written;
}

Result<SecretBytes<32>> LoadSecret(const Environment& environment, const std::string& path) {
    SecretBytes<32> secret;
    if (environment.files.Exists(path)) {
        ASSIGN_OR_RETURN(Bytes bytes, storage::ReadWholeFile(environment.files, path, 32));
        if (bytes.size() != 32)
            return Fail(ErrorKind::kEnvironment,
                        path + " does not hold 32 bytes: restore it from a backup, or move it away to get a new one");
        std::copy(bytes.begin(), bytes.end(), secret.data());
        WipeMemory(bytes.data(), bytes.size());
        return secret;
    }
    environment.random.Fill(secret.span());
    RETURN_IF_ERROR(storage::WriteFileAtomically(environment.files, path, secret.span()));
    return secret;
}

}  // namespace sluice::node
