#include "p2p/dial_budget.h"

#include <gtest/gtest.h>

namespace sluice::p2p {
namespace {

Endpoint At(const char* text) { return *ParseEndpoint(text, 9000); }

TEST(DialBudgetTest, OneMachineIsDialledAFewTimesAnHour) {
    DialBudget budget;
    Instant now{seconds(10)};
    for (uint32_t i = 0; i < DialBudget::kPerIp; ++i) {
        const Endpoint endpoint = Endpoint::Ipv4(8, 8, 8, 8, static_cast<uint16_t>(9000 + i));
        ASSERT_TRUE(budget.Allows(endpoint, now));
        budget.Spend(endpoint, now);
    }
    EXPECT_FALSE(budget.Allows(At("8.8.8.8:12345"), now));
    EXPECT_TRUE(budget.Allows(At("8.8.8.9:12345"), now));
    now += DialBudget::kWindow - seconds(1);
    EXPECT_FALSE(budget.Allows(At("8.8.8.8"), now));
    now += seconds(1);
    EXPECT_TRUE(budget.Allows(At("8.8.8.8"), now));
}

TEST(DialBudgetTest, OneRangeIsDialledAFewTimesAnHour) {
    DialBudget budget;
    const Instant now{seconds(10)};
    for (uint8_t i = 0; i < DialBudget::kPerGroup; ++i) {
        ASSERT_TRUE(budget.Allows(Endpoint::Ipv4(8, 8, 8, i, 9000), now));
        budget.Spend(Endpoint::Ipv4(8, 8, 8, i, 9000), now);
    }
    EXPECT_FALSE(budget.Allows(At("8.8.8.200"), now));
    EXPECT_TRUE(budget.Allows(At("8.8.9.200"), now));
}

TEST(DialBudgetTest, AnIpv6NetworkCountsAsOneMachine) {
    DialBudget budget;
    const Instant now{seconds(10)};
    for (uint32_t i = 0; i < DialBudget::kPerIp; ++i) budget.Spend(At("[2a00:1:2:3::1]"), now);
    EXPECT_FALSE(budget.Allows(At("[2a00:1:2:3:ffff::9]"), now));
    EXPECT_TRUE(budget.Allows(At("[2a00:1:2:4::1]"), now));
}

TEST(DialBudgetTest, MemoryIsBoundedAndAFullTableRefuses) {
    DialBudget budget;
    const Instant now{seconds(10)};
    size_t allowed = 0;
    for (uint32_t i = 0; i < 20'000; ++i) {
        const Endpoint endpoint = Endpoint::Ipv4(static_cast<uint8_t>(20 + i / 65'536), static_cast<uint8_t>(i / 256),
                                                 static_cast<uint8_t>(i), 1, 9000);
        if (!budget.Allows(endpoint, now)) continue;
        budget.Spend(endpoint, now);
        ++allowed;
    }
    EXPECT_EQ(allowed, DialBudget::kMaxTracked / 2);  // each counts for its ip and its range
    EXPECT_TRUE(budget.Allows(At("9.9.9.9"), now + DialBudget::kWindow));
}

TEST(DialBudgetTest, HearsayOfPrivateAddressesAndPrivilegedPortsIsNotDialled) {
    for (const char* ip : {"127.0.0.1:9000", "10.1.2.3:9000", "192.168.1.1:9000", "172.16.0.1:9000", "169.254.1.1:9000",
                           "100.64.0.1:9000", "[::1]:9000", "[fd00::1]:9000", "[fe80::1]:9000"}) {
        EXPECT_FALSE(IsDialable(At(ip), false)) << ip;
        EXPECT_TRUE(IsDialable(At(ip), true)) << ip;
    }
    for (const char* ip : {"0.0.0.0:9000", "224.0.0.1:9000", "255.255.255.255:9000", "[::]:9000", "[ff02::1]:9000"}) {
        EXPECT_FALSE(IsDialable(At(ip), false)) << ip;
        EXPECT_FALSE(IsDialable(At(ip), true)) << ip;
    }
    EXPECT_TRUE(IsDialable(At("8.8.8.8:1024"), false));
    EXPECT_FALSE(IsDialable(At("8.8.8.8:1023"), false));
    EXPECT_FALSE(IsDialable(At("8.8.8.8:0"), true));
    EXPECT_FALSE(IsDialable(At("127.0.0.1:80"), true));
}

}  // namespace
}  // namespace sluice::p2p
