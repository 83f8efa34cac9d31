#include "node/virtual_world.h"

#include <gtest/gtest.h>

#include "util/quiet_log.h"

namespace sluice::node::testing {
namespace {

const ::testing::Environment* const kQuietLog = ::testing::AddGlobalTestEnvironment(new QuietLog(LogLevel::kInfo));

}  // namespace

VirtualWorld::~VirtualWorld() {
    for (const std::string& failure : chronicle().failure_texts()) ADD_FAILURE() << failure;
}

void VirtualWorld::ExpectWalletsOwnEverything() {
    uint64_t owned = 0;
    std::optional<consensus::LedgerTotals> totals;
    for (size_t number = 0; number < size(); ++number) {
        VirtualNode& node = (*this)[number];
        ASSERT_TRUE(node.IsUp());
        if (node->wallet().Exists()) owned += node.wallet().GetBalances().total.drops;
        totals = node.chain().state().Get<consensus::LedgerTotals>({});
    }
    ASSERT_TRUE(totals);
    EXPECT_TRUE(totals->Conserved());
    EXPECT_EQ(owned, totals->unspent.drops);
}

void VirtualWorld::ExpectOneHeaderForEachSlot() {
    std::map<std::pair<StakerId, Slot>, std::set<BlockHash>> headers;
    for (size_t number = 0; number < size(); ++number) {
        VirtualNode& node = (*this)[number];
        if (!node.IsUp()) continue;
        const chain::HeaderTree& tree = node.chain().headers();
        tree.ForEach([&](const chain::HeaderNode& header) {
            if (header.height() == Height(0)) return;
            const auto full = tree.ReadHeader(header.hash());
            ASSERT_TRUE(full);
            headers[{full->staker, full->slot}].insert(header.hash());
        });
    }
    for (const auto& [slot, hashes] : headers) EXPECT_EQ(hashes.size(), 1u) << "slot " << slot.second.value;
    EXPECT_FALSE(headers.empty());
}

}  // namespace sluice::node::testing
