#include "consensus/header_rules.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "consensus/genesis.h"

namespace sluice::consensus {
namespace {

Hash256 Filled(uint8_t byte) {
    Hash256 hash;
    hash.bytes.fill(byte);
    return hash;
}

Genesis Regtest() { return BuiltInGenesis("regtest").value(); }

// Three operators with 60, 30 and 0 of 90 drops at genesis, on regtest's parameters.
class HeaderRulesTest : public testing::Test {
  protected:
    HeaderRulesTest()
        : network(Regtest()), params(network.params), genesis(network.Hash()), root(network.MakeHeaderState()) {
        snapshot.block = genesis;
        for (uint32_t i = 0; i < 3; ++i) {
            const OperatorKeys keys = RegtestOperator(i);
            snapshot.entries.push_back({keys.staker,
                                        Amount(i == 0   ? 60
                                               : i == 1 ? 30
                                                        : 0),
                                        Amount(),
                                        crypto::VrfPublic(keys.vrf),
                                        keys.signing.XOnly(),
                                        0,
                                        {}});
        }
        std::sort(snapshot.entries.begin(), snapshot.entries.end(),
                  [](const SnapshotEntry& a, const SnapshotEntry& b) { return a.staker < b.staker; });
    }

    // The snapshot as that of the block which elects children of `parent` in `slot`.
    const StakeSnapshot& Electing(const HeaderState& parent, Slot slot) {
        const EpochBoundary elects = ElectingBoundary(params, parent, slot);
        snapshot.block = elects.block;
        snapshot.epoch = elects.epoch;
        return snapshot;
    }
    std::optional<crypto::VrfProof> Prove(const HeaderState& parent, Slot slot, uint32_t who = 0) {
        Electorate electorate(params, Electing(parent, slot), params.EpochOf(slot));
        return ProveLeadership(params, parent, slot, electorate, RegtestOperator(who));
    }
    // The first slot from `slot` on that operator `who` leads, or does not.
    Slot NextSlot(const HeaderState& parent, Slot slot, bool leads = true, uint32_t who = 0) {
        while (Prove(parent, slot, who).has_value() != leads) ++slot;
        return slot;
    }
    void Sign(BlockHeader& header, uint32_t who = 0) {
        header.signature = RegtestOperator(who).signing.Sign(header.SigningHash(genesis));
    }
    // A header on `parent` with a true proof for `slot`, whether it leads or not.
    BlockHeader Make(const HeaderState& parent, Slot slot, uint32_t who = 0) {
        const OperatorKeys keys = RegtestOperator(who);
        BlockHeader header;
        header.prev = parent.hash;
        header.slot = slot;
        header.height = parent.height + 1;
        header.staker = keys.staker;
        header.vrf_proof = crypto::VrfProve(keys.vrf, VrfAlpha(NextContext(params, parent, slot).nonce, slot));
        Sign(header, who);
        return header;
    }
    Verdict<HeaderState> Check(const HeaderState& parent, const BlockHeader& header) {
        const Slot slot = std::max(header.slot, parent.slot + 1);  // a header whose form is wrong needs no snapshot
        Electorate electorate(params, Electing(parent, slot), params.EpochOf(slot));
        return CheckHeader(params, genesis, parent, header, electorate);
    }
    std::string Reason(const BlockHeader& header) {
        const auto checked = Check(root, header);
        return checked ? "valid" : checked.error().code;
    }
    std::string FormReason(const HeaderState& parent, const BlockHeader& header) {
        const auto checked = CheckHeaderForm(params, parent, header);
        return checked ? "valid" : checked.error().code;
    }

    Genesis network;
    Params params;
    BlockHash genesis;
    HeaderState root;
    StakeSnapshot snapshot;
};

TEST_F(HeaderRulesTest, AHeaderByALeaderIsValidAndMovesTheState) {
    const Slot slot = NextSlot(root, Slot(1));
    const BlockHeader header = Make(root, slot);
    const auto state = Check(root, header);
    ASSERT_TRUE(state.has_value()) << state.error().ToString();
    EXPECT_EQ(state->hash, header.Hash());
    EXPECT_EQ(state->prev, genesis);
    EXPECT_EQ(state->height, Height(1));
    EXPECT_EQ(state->slot, slot);
    EXPECT_EQ(state->epoch, Epoch(0));
    EXPECT_EQ(state->nonce, root.nonce);
    EXPECT_EQ(state->previous, root.previous);
    EXPECT_EQ(state->elects, root.elects);
    const auto beta = crypto::VrfProofToHash(header.vrf_proof);
    EXPECT_EQ(state->tie_break, TieBreakValue(*beta));
    Bytes fed = ToBytes(root.nonce_accumulator.bytes);
    const Hash256 value = NonceValue(*beta);
    fed.insert(fed.end(), value.begin(), value.end());
    EXPECT_EQ(state->nonce_accumulator, crypto::TaggedHash("Sluice/nonce-accumulator", fed));
}

TEST_F(HeaderRulesTest, FormIsHeldToItsLimits) {
    const BlockHeader good = Make(root, Slot(1));
    EXPECT_EQ(FormReason(root, good), "valid");
    BlockHeader header = good;
    header.version = 0;
    EXPECT_EQ(FormReason(root, header), "bad-version");
    header.version = 2;
    EXPECT_EQ(FormReason(root, header), "bad-version");
    header = good;
    header.prev.bytes[0] ^= 1;
    EXPECT_EQ(FormReason(root, header), "bad-prevblk");
    header = good;
    header.height = Height(0);
    EXPECT_EQ(FormReason(root, header), "bad-height");
    header.height = Height(2);
    EXPECT_EQ(FormReason(root, header), "bad-height");
    header = good;
    header.slot = Slot(0);
    EXPECT_EQ(FormReason(root, header), "time-too-old");
    header.slot = Slot(uint64_t{1} << 40);
    EXPECT_EQ(FormReason(root, header), "valid");
    header.slot = Slot((uint64_t{1} << 40) + 1);
    EXPECT_EQ(FormReason(root, header), "time-too-new");
    header.slot = Slot(UINT64_MAX);
    EXPECT_EQ(FormReason(root, header), "time-too-new");
}

TEST_F(HeaderRulesTest, TheHeightDoesNotWrap) {
    HeaderState parent = root;
    parent.height = Height(UINT32_MAX - 1);
    BlockHeader header;
    header.prev = parent.hash;
    header.slot = Slot(1);
    header.height = Height(UINT32_MAX);
    EXPECT_EQ(FormReason(parent, header), "valid");
    parent.height = Height(UINT32_MAX);
    header.height = Height(0);
    EXPECT_EQ(FormReason(parent, header), "bad-height");
}

TEST_F(HeaderRulesTest, OnlyTheStakersSignatureOnThisNetworkIsTaken) {
    const BlockHeader good = Make(root, NextSlot(root, Slot(1)));
    EXPECT_EQ(Reason(good), "valid");
    BlockHeader header = good;
    header.tx_root.bytes[0] ^= 1;
    EXPECT_EQ(Reason(header), "bad-header-signature");
    header = good;
    Sign(header, 1);
    EXPECT_EQ(Reason(header), "bad-header-signature");
    header = good;
    BlockHash other_network = genesis;
    other_network.bytes[0] ^= 1;
    header.signature = RegtestOperator(0).signing.Sign(header.SigningHash(other_network));
    EXPECT_EQ(Reason(header), "bad-header-signature");
}

TEST_F(HeaderRulesTest, OnlyTheProofOfThisStakerSlotAndNonceIsTaken) {
    params.active_slots_numerator = params.active_slots_denominator = 1;  // every slot is led by all stake
    const BlockHeader good = Make(root, Slot(1));
    EXPECT_EQ(Reason(good), "valid");
    const OperatorKeys keys = RegtestOperator(0);
    BlockHeader header = good;
    header.vrf_proof = crypto::VrfProve(keys.vrf, VrfAlpha(root.nonce, Slot(2)));
    Sign(header);
    EXPECT_EQ(Reason(header), "bad-vrf-proof");
    header.vrf_proof = crypto::VrfProve(keys.vrf, VrfAlpha(Filled(1), Slot(1)));
    Sign(header);
    EXPECT_EQ(Reason(header), "bad-vrf-proof");
    header.vrf_proof = crypto::VrfProve(RegtestOperator(1).vrf, VrfAlpha(root.nonce, Slot(1)));
    Sign(header);
    EXPECT_EQ(Reason(header), "bad-vrf-proof");
    header.vrf_proof = good.vrf_proof;
    header.vrf_proof.bytes[48] ^= 1;
    Sign(header);
    EXPECT_EQ(Reason(header), "bad-vrf-proof");
    header.vrf_proof.bytes.fill(0xff);
    Sign(header);
    EXPECT_EQ(Reason(header), "bad-vrf-proof");
}

TEST_F(HeaderRulesTest, AStakerThatIsUnknownOrHasNoWeightCannotLead) {
    params.active_slots_numerator = params.active_slots_denominator = 1;
    EXPECT_EQ(Reason(Make(root, Slot(1), 1)), "valid");
    EXPECT_EQ(Reason(Make(root, Slot(1), 2)), "not-leader");
    EXPECT_EQ(Reason(Make(root, Slot(1), 3)), "bad-staker");
}

// A bond alone makes nobody check a signature.
TEST_F(HeaderRulesTest, WithoutWeightNotEvenTheSignatureIsLookedAt) {
    BlockHeader header = Make(root, Slot(1), 2);
    header.signature.bytes[40] ^= 1;
    EXPECT_EQ(Reason(header), "not-leader");
}

// One header with every later fault at once is reported for its first fault.
TEST_F(HeaderRulesTest, FaultsAreFoundFromCheapToDear) {
    const Slot lost = NextSlot(root, Slot(1), false);
    BlockHeader header = Make(root, lost);
    header.vrf_proof.bytes[48] ^= 1;  // breaks the full proof, not Γ
    Sign(header);
    BlockHeader won = Make(root, NextSlot(root, Slot(1)));
    won.vrf_proof.bytes[48] ^= 1;
    Sign(won);
    EXPECT_EQ(Reason(won), "bad-vrf-proof");
    EXPECT_EQ(Reason(header), "not-leader");
    header.signature.bytes[40] ^= 1;
    EXPECT_EQ(Reason(header), "bad-header-signature");
    header.staker.bytes[0] ^= 1;
    EXPECT_EQ(Reason(header), "bad-staker");
    header.slot = root.slot;
    EXPECT_EQ(Reason(header), "time-too-old");
    header.height = root.height;
    EXPECT_EQ(Reason(header), "bad-height");
    header.prev.bytes[0] ^= 1;
    EXPECT_EQ(Reason(header), "bad-prevblk");
    header.version = 0;
    EXPECT_EQ(Reason(header), "bad-version");
}

TEST_F(HeaderRulesTest, BlocksFeedTheNonceUpToTheCutOffSlot) {
    params.active_slots_numerator = params.active_slots_denominator = 1;
    const uint64_t first_cut = params.epoch_slots - params.nonce_cutoff_slots;
    EXPECT_NE(Check(root, Make(root, Slot(first_cut - 1)))->nonce_accumulator, root.nonce_accumulator);
    EXPECT_EQ(Check(root, Make(root, Slot(first_cut)))->nonce_accumulator, root.nonce_accumulator);
    EXPECT_EQ(Check(root, Make(root, Slot(params.epoch_slots - 1)))->nonce_accumulator, root.nonce_accumulator);
    EXPECT_NE(Check(root, Make(root, Slot(params.epoch_slots)))->nonce_accumulator, Hash256());
}

TEST_F(HeaderRulesTest, ProofsExistExactlyForTheSlotsThatCheckHeaderTakes) {
    size_t led = 0;
    for (uint64_t n = 1; n <= 40; ++n) {
        const auto proof = Prove(root, Slot(n));
        const BlockHeader header = Make(root, Slot(n));
        EXPECT_EQ(Reason(header), proof ? "valid" : "not-leader");
        if (!proof) continue;
        EXPECT_EQ(*proof, header.vrf_proof);
        ++led;
    }
    EXPECT_GT(led, 0u);
    EXPECT_LT(led, 40u);
}

TEST_F(HeaderRulesTest, NoProofWithoutWeightForOldSlotsOrWithRotatedKeys) {
    params.active_slots_numerator = params.active_slots_denominator = 1;
    Electorate electorate(params, snapshot, Epoch(0));
    EXPECT_TRUE(ProveLeadership(params, root, Slot(1), electorate, RegtestOperator(0)));
    EXPECT_FALSE(ProveLeadership(params, root, Slot(0), electorate, RegtestOperator(0)));
    EXPECT_FALSE(ProveLeadership(params, root, Slot(1), electorate, RegtestOperator(2)));
    EXPECT_FALSE(ProveLeadership(params, root, Slot(1), electorate, RegtestOperator(3)));
    OperatorKeys rotated = RegtestOperator(1);
    rotated.staker = RegtestOperator(0).staker;
    EXPECT_FALSE(ProveLeadership(params, root, Slot(1), electorate, rotated));
    rotated.vrf = RegtestOperator(0).vrf.Clone();
    EXPECT_FALSE(ProveLeadership(params, root, Slot(1), electorate, rotated));
}

TEST_F(HeaderRulesTest, WeightSharesDecideHowOftenOneLeads) {
    size_t led[2] = {0, 0};
    for (uint64_t n = 1; n <= 600; ++n)
        for (uint32_t who = 0; who < 2; ++who) led[who] += Prove(root, Slot(n), who).has_value();
    // φ(2/3) = 0.370, φ(1/3) = 0.206, each within four standard deviations
    EXPECT_NEAR(static_cast<double>(led[0]), 0.370 * 600, 48);
    EXPECT_NEAR(static_cast<double>(led[1]), 0.206 * 600, 40);
}

HeaderState ParentInEpoch3() {
    HeaderState parent{};
    parent.hash.bytes.fill(33);
    parent.slot = Slot(650);
    parent.epoch = Epoch(3);
    parent.nonce = Filled(1);
    parent.nonce_accumulator = Filled(2);
    parent.previous = {BlockHash(Filled(22).bytes), Epoch(2)};
    parent.elects = {BlockHash(Filled(11).bytes), Epoch(1)};
    return parent;
}

Hash256 Nonce(const Hash256& nonce, uint64_t epoch, const Hash256& accumulator) {
    Writer writer;
    writer(nonce, epoch, accumulator);
    return crypto::TaggedHash("Sluice/nonce", writer.bytes());
}

TEST_F(HeaderRulesTest, AChildInTheSameEpochKeepsItsElection) {
    const HeaderState parent = ParentInEpoch3();
    const EpochContext context = NextContext(params, parent, Slot(799));
    EXPECT_EQ(context.epoch, Epoch(3));
    EXPECT_EQ(context.nonce, parent.nonce);
    EXPECT_EQ(context.nonce_accumulator, parent.nonce_accumulator);
    EXPECT_EQ(context.previous, parent.previous);
    EXPECT_EQ(context.elects, parent.elects);
}

TEST_F(HeaderRulesTest, TheNextEpochIsElectedByTheEpochBeforeTheParents) {
    const HeaderState parent = ParentInEpoch3();
    const EpochContext context = NextContext(params, parent, Slot(800));
    EXPECT_EQ(context.epoch, Epoch(4));
    EXPECT_EQ(context.nonce, Nonce(parent.nonce, 4, parent.nonce_accumulator));
    EXPECT_TRUE(context.nonce_accumulator.IsZero());
    EXPECT_EQ(context.previous, (EpochBoundary{parent.hash, Epoch(3)}));
    EXPECT_EQ(context.elects, parent.previous);
}

TEST_F(HeaderRulesTest, AfterAnEmptyEpochTheParentItselfElects) {
    const HeaderState parent = ParentInEpoch3();
    for (const uint64_t epoch : {uint64_t{5}, uint64_t{6}, uint64_t{150'000}, uint64_t{1} << 32}) {
        const EpochContext context = NextContext(params, parent, params.FirstSlot(Epoch(epoch)));
        EXPECT_EQ(context.epoch, Epoch(epoch));
        EXPECT_EQ(context.nonce, Nonce(parent.nonce, epoch, parent.nonce_accumulator));
        EXPECT_TRUE(context.nonce_accumulator.IsZero());
        EXPECT_EQ(context.previous, (EpochBoundary{parent.hash, Epoch(3)}));
        EXPECT_EQ(context.elects, (EpochBoundary{parent.hash, Epoch(3)}));
    }
}

TEST_F(HeaderRulesTest, GenesisElectsTheFirstTwoEpochs) {
    for (const uint64_t slot : {1, 199, 200, 399}) EXPECT_EQ(ElectingBoundary(params, root, Slot(slot)).block, genesis);
    params.active_slots_numerator = params.active_slots_denominator = 1;
    const HeaderState a = *Check(root, Make(root, Slot(150)));
    EXPECT_EQ(ElectingBoundary(params, a, Slot(399)).block, genesis);
    EXPECT_EQ(ElectingBoundary(params, a, Slot(400)).block, a.hash);
    const HeaderState b = *Check(a, Make(a, Slot(399)));
    EXPECT_EQ(ElectingBoundary(params, b, Slot(400)).block, a.hash);
    EXPECT_EQ(ElectingBoundary(params, b, Slot(599)).block, a.hash);
    EXPECT_EQ(ElectingBoundary(params, b, Slot(600)).block, b.hash);
}

TEST_F(HeaderRulesTest, AChainCrossesEpochsAndGaps) {
    HeaderState tip = root;
    for (const uint64_t from : {10, 150, 190, 205, 390, 400, 1'000, 30'000'000}) {
        const Slot slot = NextSlot(tip, Slot(from));
        const auto next = Check(tip, Make(tip, slot));
        ASSERT_TRUE(next.has_value()) << next.error().ToString();
        EXPECT_EQ(next->height, tip.height + 1);
        EXPECT_EQ(next->epoch, params.EpochOf(slot));
        const auto decoded = Decode<HeaderState>(Encode(*next));
        ASSERT_TRUE(decoded.has_value());
        EXPECT_EQ(*decoded, *next);
        tip = *next;
    }
}

// What a batch does: places of all, then β of all, then states, against one header at a time.
TEST_F(HeaderRulesTest, StatesChainedFromGammaEqualThoseCheckedOneByOne) {
    std::vector<BlockHeader> headers;
    std::vector<HeaderState> states;
    HeaderState tip = root;
    for (const uint64_t from : {10, 30, 150, 190, 205, 390, 400, 1'000, 1'001}) {
        headers.push_back(Make(tip, NextSlot(tip, std::max(Slot(from), tip.slot + 1))));
        states.push_back(*Check(tip, headers.back()));
        tip = states.back();
    }
    std::vector<HeaderState> places;
    for (const BlockHeader& header : headers) {
        const HeaderState& parent = places.empty() ? root : places.back();
        ASSERT_TRUE(CheckHeaderForm(params, parent, header));
        places.push_back(ChildPlace(params, parent, header, header.Hash()));
        EXPECT_TRUE(places.back().nonce.IsZero());
    }
    for (size_t i = 0; i < headers.size(); ++i) {
        const HeaderState& parent = i == 0 ? root : places[i - 1];
        CompleteState(params, parent, *crypto::VrfProofToHash(headers[i].vrf_proof), places[i]);
        EXPECT_EQ(places[i], states[i]) << i;
    }
}

TEST_F(HeaderRulesTest, EachProofIsCheckedByItsOwnStep) {
    const BlockHeader good = Make(root, NextSlot(root, Slot(1)));
    Electorate electorate(params, Electing(root, good.slot), Epoch(0));
    const HeaderProofs proofs = *MeetStaker(genesis, root, good, electorate);
    EXPECT_TRUE(proofs.CheckSignature());
    EXPECT_TRUE(proofs.CheckThreshold());
    EXPECT_TRUE(proofs.CheckVrf(root.nonce));
    EXPECT_EQ(proofs.CheckVrf(Filled(1)).error().code, "bad-vrf-proof");
    HeaderProofs bad = proofs;
    bad.signature.bytes[0] ^= 1;
    EXPECT_EQ(bad.CheckSignature().error().code, "bad-header-signature");
    bad = proofs;
    bad.threshold = Hash256();
    EXPECT_EQ(bad.CheckThreshold().error().code, "not-leader");
    BlockHeader stranger = good;
    stranger.staker.bytes[0] ^= 1;
    EXPECT_EQ(MeetStaker(genesis, root, stranger, electorate).error().code, "bad-staker");
}

TEST_F(HeaderRulesTest, AnElectorateHasTheWeightsAndThresholdsOfItsSnapshot) {
    snapshot.entries[0].recent_stake = Amount(snapshot.entries[0].stake.drops / 2);
    for (const Epoch epoch : {Epoch(2), Epoch(3)}) {
        Electorate electorate(params, snapshot, epoch);
        EXPECT_EQ(electorate.total(), snapshot.TotalWeight(epoch));
        for (const SnapshotEntry& entry : snapshot.entries) {
            const Electorate::Seat* seat = electorate.Find(entry.staker);
            ASSERT_NE(seat, nullptr);
            EXPECT_EQ(seat->entry, &entry);
            EXPECT_EQ(seat->weight, snapshot.Weight(entry, epoch));
            EXPECT_EQ(seat->threshold, LeaderThreshold(params, seat->weight, electorate.total()));
            EXPECT_EQ(electorate.Find(entry.staker), seat) << "computed once";
        }
        EXPECT_EQ(electorate.Find(RegtestOperator(3).staker), nullptr);
    }
    for (SnapshotEntry& entry : snapshot.entries) entry.stake = entry.recent_stake = Amount();
    Electorate without_stake(params, snapshot, Epoch(2));
    EXPECT_EQ(without_stake.total(), Amount(3));
    EXPECT_EQ(without_stake.Find(RegtestOperator(2).staker)->threshold, LeaderThreshold(params, Amount(1), Amount(3)));
}

TEST(Vrf, AlphaAndValuesAreFrozen) {
    crypto::VrfOutput beta;
    beta.bytes.fill(5);
    EXPECT_EQ(HexEncode(VrfAlpha(Filled(0xab), Slot(0x0102))),
              HexEncode(AsBytes("Sluice/vrf")) + Filled(0xab).Hex() + "0201000000000000");
    const auto value = [&](char letter) {
        Writer input;
        input(static_cast<uint8_t>(letter), beta);
        return crypto::TaggedHash("Sluice/vrf-value", input.bytes());
    };
    EXPECT_EQ(LeaderValue(beta), value('L'));
    EXPECT_EQ(NonceValue(beta), value('N'));
    EXPECT_EQ(TieBreakValue(beta), value('T'));
}

TEST(HeaderCommitment, BindsCertificateAndSnapshotInOrder) {
    EXPECT_EQ(HeaderCommitment(Filled(1), Filled(2)),
              crypto::TaggedHash("Sluice/commitment", HexDecode(Filled(1).Hex() + Filled(2).Hex()).value()));
    EXPECT_NE(HeaderCommitment(Filled(1), Filled(2)), HeaderCommitment(Filled(2), Filled(1)));
}

HeaderState Tip(uint32_t height, uint64_t slot, uint8_t tie_break) {
    HeaderState tip{};
    tip.height = Height(height);
    tip.slot = Slot(slot);
    tip.tie_break = Filled(tie_break);
    return tip;
}

TEST(BetterTip, IsTheLongerOneWhateverTheTieBreak) {
    EXPECT_TRUE(BetterTip(Tip(11, 100, 9), Tip(10, 100, 1)));
    EXPECT_FALSE(BetterTip(Tip(10, 100, 1), Tip(11, 100, 9)));
}

TEST(BetterTip, TakesTheLowerTieBreakWithinThreeSlotsOnly) {
    for (const uint64_t slot : {97, 100, 103}) {
        EXPECT_TRUE(BetterTip(Tip(10, slot, 1), Tip(10, 100, 2)));
        EXPECT_FALSE(BetterTip(Tip(10, slot, 2), Tip(10, 100, 1)));
        EXPECT_FALSE(BetterTip(Tip(10, slot, 1), Tip(10, 100, 1)));
    }
    for (const uint64_t slot : {96, 104}) EXPECT_FALSE(BetterTip(Tip(10, slot, 1), Tip(10, 100, 2)));
}

}  // namespace
}  // namespace sluice::consensus
