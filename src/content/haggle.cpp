#include "content/haggle.h"

#include <algorithm>

namespace sluice::content {
namespace {

Amount HalfWay(Amount a, Amount b) { return Amount(a.drops / 2 + b.drops / 2 + (a.drops % 2 + b.drops % 2 + 1) / 2); }

}  // namespace

BidAnswer AnswerBid(SellerQuote& quote, Amount floor, uint8_t round, Amount bid) {
    if (round == quote.bids + 1 && round <= kMaxBids && bid.drops > 0) {
        quote.bids = round;
        if (bid < quote.price) {
            const bool taken = round == kMaxBids && bid >= floor;
            quote.price = taken ? bid : std::max(floor, HalfWay(quote.price, bid));
        } else {
            quote.bids = kMaxBids;  // agreed
        }
    }
    return {quote.price, quote.price <= floor || quote.bids == kMaxBids};
}

std::optional<Amount> NextBid(BuyerBids& bids, Amount cap, Amount standing, bool firm) {
    bids.waits_since.reset();
    if (firm || bids.round == kMaxBids || cap.drops == 0 || standing.drops <= 1) bids.done = true;
    if (bids.done) return std::nullopt;
    ++bids.round;
    Amount bid = bids.round == 1   ? HalfWay(standing, Amount(0))
                 : bids.round == 2 ? HalfWay(bids.last, standing)
                                   : standing;
    bid = std::min(bid, cap);
    // The last bid takes what stands if it can: nothing is to be said then. So does one that wins nothing.
    if (bid >= standing || (bids.round == kMaxBids && standing <= cap)) {
        bids.done = true;
        return std::nullopt;
    }
    bids.last = bid;
    return bid;
}

std::optional<Amount> HaggledPrice(Amount ask, Amount floor, Amount cap) {
    SellerQuote quote{ask, 0, {}};
    BuyerBids bids;
    BidAnswer answer{ask, false};
    while (const auto bid = NextBid(bids, cap, answer.price, answer.firm))
        answer = AnswerBid(quote, std::min(floor, ask), bids.round, *bid);
    if (answer.price > cap) return std::nullopt;
    return answer.price;
}

}  // namespace sluice::content
