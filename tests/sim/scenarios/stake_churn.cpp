#include <fmt/format.h>

#include "consensus/genesis.h"
#include "sim/scenarios/honest.h"

// Holders that pay, delegate, undelegate and redelegate all the time, over several epochs.

namespace sluice::sim {
namespace {

enum class Deed { kPay, kDelegate, kUndelegate, kRedelegate };
constexpr std::string_view kDeedNames[] = {"payments", "delegations", "undelegations", "redelegations"};
constexpr size_t kDeeds = std::size(kDeedNames);

// What holders do, and how often.
class Holders {
  public:
    explicit Holders(World& world) : m_world(world) {}

    // One random deed of a random holder.
    void Act() {
        VirtualNode& holder = m_world[Draw(m_world.size())];
        const auto deed = static_cast<Deed>(Draw(kDeeds));
        auto built = Build(holder, deed);
        if (!built) {  // no coins, or no stake with that staker
            ++m_not_possible;
            return;
        }
        const auto sent = holder->wallet().Broadcast(*built);
        ++(sent ? m_done[static_cast<size_t>(deed)] : m_refused);
    }
    uint64_t done(size_t deed) const { return m_done[deed]; }
    uint64_t not_possible() const { return m_not_possible; }
    uint64_t refused() const { return m_refused; }

  private:
    uint64_t Draw(uint64_t bound) { return m_world.random().Below(bound); }
    StakerId AnyStaker() {
        const auto& stakers = m_world.network().genesis.stakers;
        return stakers[Draw(stakers.size())].id;
    }
    Result<wallet::BuiltTransaction> Build(VirtualNode& holder, Deed deed) {
        const wallet::Balances balances = holder.wallet().GetBalances();
        const Amount part(balances.spendable.drops / 1'000 * (1 + Draw(200)));
        // Of one staker's stake: everything, or a part that may be more than there is.
        wallet::UndelegationRequest undelegation{.from = AnyStaker()};
        if (Draw(2) == 0 && balances.staked.drops > kDropsPerSlu)
            undelegation.amount = Amount(balances.staked.drops / 1'000 * (1 + Draw(300)));
        switch (deed) {
            case Deed::kPay: {
                wallet::PaymentRequest request;
                request.payments.push_back({m_world[Draw(m_world.size())].NewScript(), part});
                return holder.wallet().BuildPayment(request);
            }
            case Deed::kDelegate:
                return holder.wallet().BuildDelegation(AnyStaker(), part);
            case Deed::kUndelegate:
                return holder.wallet().BuildUndelegation(undelegation);
            case Deed::kRedelegate:
                break;
        }
        undelegation.to = AnyStaker();
        return holder.wallet().BuildUndelegation(undelegation);
    }

    World& m_world;
    uint64_t m_done[kDeeds]{};
    uint64_t m_not_possible{0};
    uint64_t m_refused{0};
};

}  // namespace

Report RunStakeChurn(const Arguments& arguments) {
    NetworkOptions network;
    network.stakes.assign(arguments.nodes, 1);
    network.active_slots_denominator = 5;
    network.k = 20;
    network.epoch_slots = 200;
    network.seed = arguments.seed;
    World world(arguments.seed, MakeStakeNetwork(network));
    world.queue().SetTimerGrain(milliseconds(250));
    for (uint32_t i = 0; i < arguments.nodes; ++i) {
        VirtualNodeOptions options;
        options.staker = i;
        for (size_t other = 0; other < i; ++other) options.add_nodes.push_back(other);
        if (i == 0) options.phrase = std::string(consensus::kRegtestPhrase);
        world.Add(std::move(options));
        if (i != 0) world[i].MakeWallet();
    }
    world.RunSlots(50);
    wallet::PaymentRequest first;
    for (size_t i = 1; i < world.size(); ++i)
        for (int part = 0; part < 4; ++part)
            first.payments.push_back({world[i].NewScript(), Amount(50'000 * kDropsPerSlu)});
    const auto paid = world[0].wallet().BuildPayment(first);
    Report report;
    Require(report, paid.has_value(), "the first payment cannot be built");
    if (!paid) return report;
    world[0].Broadcast(*paid);
    world.RunSlots(50);

    Holders holders(world);
    const auto pause = static_cast<uint64_t>(Chosen(arguments, "pause"));
    for (uint64_t done = 0; done < arguments.slots; done += pause) {
        holders.Act();
        world.RunFor(world.params().slot_duration * static_cast<int64_t>(pause));
        if (done / 500 != (done + pause) / 500) world.CheckNow(true);
        if (arguments.progress) arguments.progress(static_cast<double>(done) / static_cast<double>(arguments.slots));
    }
    Require(report, world.RunUntil([&] { return world.AllSettled(); }, seconds(600)),
            "transactions wait for ever, or the nodes do not come to one tip");
    uint64_t owned = 0;
    for (size_t i = 0; i < world.size(); ++i) owned += world[i].wallet().GetBalances().total.drops;
    const auto totals = world[0].chain().state().Get<consensus::LedgerTotals>({});
    Require(report, totals && totals->unspent.drops == owned,
            fmt::format("the wallets own {} drops of {}", owned, totals ? totals->unspent.drops : 0));
    for (size_t deed = 0; deed < kDeeds; ++deed)
        AddFigure(report, std::string(kDeedNames[deed]), "all holders", static_cast<double>(holders.done(deed)));
    AddFigure(report, "nothing to spend for it", "all holders", static_cast<double>(holders.not_possible()));
    AddFigure(report, "refused by the mempool", "all holders", static_cast<double>(holders.refused()));
    if (totals) {
        AddFigure(report, "minted, SLU", "all", static_cast<double>(totals->minted.drops) / kDropsPerSlu);
        AddFigure(report, "accrued and not taken (pots), SLU", "all",
                  static_cast<double>(totals->pots.drops) / kDropsPerSlu);
    }
    AddFigure(report, "epochs", "all", static_cast<double>(world.params().EpochOf(world.slot()).value));
    Finish(report, world);
    return report;
}

}  // namespace sluice::sim
