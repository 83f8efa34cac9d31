#include "node/content_tokens.h"

#include <gtest/gtest.h>

namespace sluice::node {
namespace {

class ContentTokensTest : public testing::Test {
  protected:
    ManualClock clock;
    SeededRandom random{1};
    ContentTokens tokens{clock, random};
    const ClaimId film = *ClaimId::FromHex(std::string(64, '1'));
    const ClaimId other = *ClaimId::FromHex(std::string(64, '2'));
};

TEST_F(ContentTokensTest, ATokenOpensItsClaimAloneWithItsLimits) {
    FetchLimits limits;
    limits.max_cost = Amount(7);
    const std::string token = tokens.Issue(film, limits, seconds(10));
    EXPECT_EQ(token.size(), 64u);
    EXPECT_EQ(tokens.Find(token, film), limits);
    EXPECT_FALSE(tokens.Find(token, other));
}

TEST_F(ContentTokensTest, ATokenEndsAtItsTime) {
    const std::string token = tokens.Issue(film, {}, seconds(10));
    clock.Advance(seconds(10) - microseconds(1));
    EXPECT_TRUE(tokens.Find(token, film));
    clock.Advance(microseconds(1));
    EXPECT_FALSE(tokens.Find(token, film));
}

TEST_F(ContentTokensTest, WhatIsAlmostATokenOpensNothing) {
    std::string token = tokens.Issue(film, {}, seconds(10));
    EXPECT_FALSE(tokens.Find("", film));
    EXPECT_FALSE(tokens.Find(token.substr(2), film));
    EXPECT_FALSE(tokens.Find(token + "00", film));
    token.back() = token.back() == '0' ? '1' : '0';
    EXPECT_FALSE(tokens.Find(token, film));
    EXPECT_FALSE(tokens.Find(std::string(64, 'x'), film));
}

TEST_F(ContentTokensTest, TheOldestGiveWayOnceThereAreTooMany) {
    const std::string first = tokens.Issue(film, {}, seconds(10));
    std::string second;
    for (size_t i = 1; i < ContentTokens::kMaxTokens; ++i) {
        const std::string token = tokens.Issue(film, {}, seconds(10));
        if (i == 1) second = token;
    }
    EXPECT_TRUE(tokens.Find(first, film));
    tokens.Issue(film, {}, seconds(10));
    EXPECT_FALSE(tokens.Find(first, film));
    EXPECT_TRUE(tokens.Find(second, film));
}

}  // namespace
}  // namespace sluice::node
