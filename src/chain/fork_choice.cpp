#include "chain/fork_choice.h"

#include <algorithm>

namespace sluice::chain {
namespace {

// The one that is preferred among equals may be another one once a better end was found, since ties are broken between
// neighbouring slots only; each such step lowers the tie-break value, so that few can follow each other.
constexpr int kMaxRounds = 8;

// An end and its place in the order of preference: that of arrival, but for the one that is held.
struct Ranked {
    const HeaderNode* end;
    uint64_t rank;
};

Ranked BestOf(const consensus::Params& params, const std::vector<Ranked>& ends);

// `sides` part at `fork`.
Ranked BestSide(const consensus::Params& params, const HeaderNode* fork, std::vector<Ranked> sides) {
    std::sort(sides.begin(), sides.end(), [](const Ranked& a, const Ranked& b) { return a.rank < b.rank; });
    Height highest;
    for (const Ranked& side : sides) highest = std::max(highest, side.end->height());
    const bool by_density = consensus::DensityDecides(params, fork->height(), highest);
    const Slot last = consensus::DensityWindowEnd(params, fork->state.slot);
    std::vector<consensus::Branch> branches;
    for (const Ranked& side : sides)
        branches.push_back({side.end->state, by_density ? BlocksUpTo(side.end, fork, last) : 0});
    return sides[consensus::BestBranch(params, fork->state, branches)];
}

Ranked BestOf(const consensus::Params& params, const std::vector<Ranked>& ends) {
    if (ends.size() == 1) return ends[0];
    // Everything else leaves the path of the highest end somewhere.
    const Ranked path = *std::max_element(
        ends.begin(), ends.end(), [](const Ranked& a, const Ranked& b) { return a.end->height() < b.end->height(); });
    struct Fork {
        const HeaderNode* node{nullptr};
        std::map<BlockHash, std::vector<Ranked>> sides;  // by the first block
    };
    std::map<Height, Fork, std::greater<>> forks;
    for (const Ranked& each : ends) {
        const HeaderNode* fork = ForkPoint(each.end, path.end);
        if (fork->height() == each.end->height()) continue;  // the path builds on it, or is it
        Fork& entry = forks[fork->height()];
        entry.node = fork;
        // Null if the disk fails: then the caller learns of it (TakeReadFailure) and believes nothing.
        const HeaderNode* first = AncestorAt(each.end, fork->height() + 1);
        entry.sides[first != nullptr ? first->hash() : BlockHash()].push_back(each);
    }
    Ranked best = path;
    for (const auto& [height, fork] : forks) {
        std::vector<Ranked> sides{best};
        for (const auto& [first, members] : fork.sides) sides.push_back(BestOf(params, members));
        best = BestSide(params, fork.node, std::move(sides));
    }
    return best;
}

}  // namespace

const HeaderNode* BestEnd(const consensus::Params& params, const HeaderNode* held,
                          const std::vector<const HeaderNode*>& others) {
    for (int round = 0; round < kMaxRounds && !others.empty(); ++round) {
        std::vector<Ranked> ends{{held, 0}};
        for (const HeaderNode* other : others)
            if (other != held) ends.push_back({other, other->sequence + 1});
        const HeaderNode* found = BestOf(params, ends).end;
        if (found == held) break;
        held = found;
    }
    return held;
}

bool BetterEnd(const consensus::Params& params, const HeaderNode* candidate, const HeaderNode* current) {
    return BestEnd(params, current, {candidate}) == candidate && candidate != current;
}

}  // namespace sluice::chain
