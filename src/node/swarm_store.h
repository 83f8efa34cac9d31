#pragma once

#include <memory>
#include <vector>

#include "content/swarm.h"
#include "storage/file_system.h"

namespace sluice::node {

// Content that this node serves, and at what price.
struct SeededContent {
    ContentId content;
    Amount ask_per_mib;

    static void Serialize(auto& self, auto& archive) { archive(self.content, self.ask_per_mib); }
};

// What the swarm remembers over restarts: what is served, the channels it pays from, and (in their own log) the
// vouchers it earned. Writes belong to the disk strand; the contents are read once, before that starts.
class SwarmStore {
  public:
    static Result<std::unique_ptr<SwarmStore>> Open(storage::FileSystem& files, const std::string& folder);

    Result<std::vector<SeededContent>> Seeds() const;
    Result<std::vector<content::PayerChannel>> PayerChannels() const;
    content::VoucherLog& vouchers() { return *m_vouchers; }

    Status SaveSeed(const SeededContent& seed);
    Status ForgetSeed(const ContentId& content);
    // Synced. Rationale: a voucher that was forgotten is shown by the payee again, but a payer that forgot the channel
    // itself, or what it received, owes a debt that it does not know of, and is served no more.
    Status SavePayerChannel(const content::PayerChannel& channel);

  private:
    SwarmStore() = default;
    std::unique_ptr<storage::KeyValueStore> m_store;
    std::unique_ptr<content::VoucherLog> m_vouchers;
};

}  // namespace sluice::node
