#pragma once

#include <optional>

#include "primitives/amount.h"
#include "util/clock.h"

// What a downloader and a seeder agree on as the price of one content, per MiB (protocol.md §5): ask, bids, cap.
//
//   downloader                        seeder
//                    <-----  Have     the ask: what stands
//   Bid 1            ----->           half of what stands, or the cap if that is less
//                    <-----  Counter  half way between bid and what stood, never under the floor; firm: it stays
//   Bid 2            ----->           half way between the last bid and what stands, or the cap
//                    <-----  Counter
//   Bid 3            ----->           the cap, only if what stands is over it
//                    <-----  Counter  the bid if it is not under the floor; always firm
//
// Both sides are pure functions of ask, floor and cap, so the outcome is too; at most kMaxBids bids are answered for
// each content and connection. What stands never rises, so chunks may be requested at it all the while.

namespace sluice::content {

inline constexpr uint8_t kMaxBids = 3;

// The seeder's side.
struct SellerQuote {
    Amount price;  // stands
    uint8_t bids{0};
    std::optional<Instant> ends;  // the ask was raised: until then the peer pays what it was told
};
struct BidAnswer {
    Amount price;
    bool firm{false};
};
// A bid that is out of turn changes nothing. Precondition: floor <= quote.price.
BidAnswer AnswerBid(SellerQuote& quote, Amount floor, uint8_t round, Amount bid);

// The downloader's side.
struct BuyerBids {
    uint8_t round{0};  // of the last bid
    Amount last;
    bool done{false};
    std::optional<Instant> waits_since;  // for the answer
};
// The next bid, or nullopt if there is nothing to win any more.
std::optional<Amount> NextBid(BuyerBids& bids, Amount cap, Amount standing, bool firm);

// What the two agree on; nullopt: the seeder's floor is over the cap.
std::optional<Amount> HaggledPrice(Amount ask, Amount floor, Amount cap);

}  // namespace sluice::content
