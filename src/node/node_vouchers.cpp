#include "node/node.h"
#include "node/payee_seeds.h"

// Backups of what was earned and not settled.

namespace sluice::node {

Result<size_t> Node::BackUpVouchers(const std::string& path) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    return CallOn(m_environment.disk_strand, [&]() -> Result<size_t> {
        const content::VoucherLog& vouchers = m_swarm_store->vouchers();
        RETURN_IF_ERROR(vouchers.WriteCopy(path, m_genesis_hash, m_loose_seeds));
        return vouchers.channels().size();
    });
}

Result<size_t> Node::RestoreVouchers(const std::string& path) {
    if (path.empty() || path[0] != '/') return Fail("path must be absolute, not '" + path.substr(0, 200) + "'");
    const std::string folder = m_config.ChainDir();
    auto backup = CallOn(m_environment.disk_strand, [&]() -> Result<std::shared_ptr<content::VoucherBackup>> {
        ASSIGN_OR_RETURN(
            content::VoucherBackup read,
            content::ReadVoucherBackup(m_environment.files, path, m_genesis_hash, folder + "/swarm/vouchers.import"));
        RETURN_IF_ERROR(SaveRestoredSeeds(m_environment, folder, read.seeds));
        for (const auto& seed : read.seeds) m_loose_seeds.push_back(seed.Clone());
        return std::make_shared<content::VoucherBackup>(std::move(read));
    });
    if (!backup) return Fail(backup.error());
    return CallChain([&]() -> Result<size_t> {
        m_payments->Restore((*backup)->channels, std::move((*backup)->seeds));
        return (*backup)->channels.size();
    });
}

// The vouchers of a lost machine are taken over when the backup that it kept is named again: seeds first, then the
// channels.
Status Node::TakeBackupSeeds() {
    const std::string& path = m_config.voucher_backup;
    if (path.empty() || !m_environment.files.Exists(path)) return {};
    const auto backup = content::ReadVoucherBackup(m_environment.files, path, m_genesis_hash,
                                                   m_config.ChainDir() + "/swarm/vouchers.import");
    if (!backup) return Fail(backup.error().kind, "-voucherbackup=" + path + ": " + backup.error().message);
    return SaveRestoredSeeds(m_environment, m_config.ChainDir(), backup->seeds);
}

Status Node::KeepVoucherBackup() {
    const std::string& path = m_config.voucher_backup;
    if (path.empty()) return {};
    std::vector<SecretBytes<32>> seeds;
    for (const auto& seed : m_loose_seeds) seeds.push_back(seed.Clone());
    const Status kept = m_swarm_store->vouchers().KeepCopy(path, m_genesis_hash, std::move(seeds));
    if (!kept) return Fail(kept.error().kind, "-voucherbackup=" + path + ": " + kept.error().message);
    return {};
}

// A wallet that was made while the node runs: new channels are its from now on.
void Node::UseWalletSeed() {
    const auto wallet = m_wallet->Get();
    if (!wallet || m_has_wallet_seed) return;
    m_has_wallet_seed = true;
    auto seed = std::make_shared<SecretBytes<32>>(WalletPayeeSeed(**wallet, m_genesis_hash));
    m_payments->SetSeed(seed->Clone());
    m_environment.network_strand.Post([this, alive = m_alive, seed] {
        if (*alive) m_swarm->swarm().SetPayeeSeed(seed->Clone());
    });
}

}  // namespace sluice::node
