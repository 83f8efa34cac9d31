#include "fuzz_ledger.h"

#include "consensus/genesis.h"

namespace sluice::fuzz {

using namespace consensus;
using namespace consensus::testing;

namespace {

RegisterRecord StakerKeys(uint8_t n) {
    RegisterRecord record;
    record.vrf_key = VrfKey(n);
    record.signing_key = TestKey(30u + n).XOnly();
    record.commission_permille = 50;
    record.payout_script = KeyScript(4);
    return record;
}

// record, bond, change
TransactionRef RecordAndBond(Ledger& ledger, const std::vector<OutPoint>& inputs, const Record& record) {
    return ledger.Sign(ledger.Build(inputs, {Ledger::RecordOutput(record), {ledger.params.bond, KeyScript(5)}}));
}

EvidenceRecord TwoHeaders(const StakerId& staker, Slot slot) {
    BlockHeader one, two;
    one.staker = two.staker = staker;
    one.slot = two.slot = slot;
    two.height = Height(1);
    for (BlockHeader* header : {&one, &two}) header->signature = TestKey(31).Sign(header->SigningHash({}));
    return StakerChain::Ordered(one, two);
}

// A stake coin to which rewards are owed.
OutPoint EarningStake(Ledger& ledger) {
    const OutPoint coin = ledger.Fund({Slu(50), KeyStakeScript(4)}, {});
    StakerState staker = *ledger.state.Get<StakerState>(kTestStaker);
    staker.stake.Add(Slu(50), kGenesisStakeEpoch);
    staker.reward_per_drop[7] = 0x10;  // 2^60: a sixteenth of a drop for each
    staker.pot = Slu(10);
    ledger.state.Put(kTestStaker, staker);
    LedgerTotals totals = ledger.Totals();
    totals.minted.drops += staker.pot.drops;
    totals.pots.drops += staker.pot.drops;
    ledger.state.Put({}, totals);
    return coin;
}

}  // namespace

LedgerScene::LedgerScene() {
    ledger.state.Put({}, ChainIdentity{});
    const auto registered = RecordAndBond(ledger, {ledger.Fund(Slu(2'000))}, StakerKeys(1));
    const auto leaving = RecordAndBond(ledger, {ledger.Fund(Slu(2'000))}, StakerKeys(2));
    const StakerId staker = MakeStakerId(registered->inputs()[0].prevout, 0);
    const StakerId leaver = MakeStakerId(leaving->inputs()[0].prevout, 0);
    ledger.params.unbonding_slots = 20;
    ledger.Connect({registered, leaving});
    const auto left = RecordAndBond(ledger, {leaving->Output(1), ledger.Fund(Slu(1))}, ExitRecord{leaver});
    ledger.Connect({left});
    const OutPoint stake = EarningStake(ledger);
    const OutPoint publish = ledger.Published(ExamplePublish());
    const Lock purchase = ledger.Purchased(publish, Slu(6));
    const Lock channel = ledger.Opened(Slu(3));
    ledger.ConnectEmpty(ledger.params.channel_window_blocks + 1);  // so that refunds are due
    const OutPoint publish2 = ledger.Published(ExamplePublish());
    const Lock purchase2 = ledger.Purchased(publish2, Slu(6));
    const Lock channel2 = ledger.Opened(Slu(3));
    const OutPoint coin = ledger.Fund(Slu(50));
    MutableTransaction pay = ledger.Build({coin}, {{Slu(1), KeyScript(3)}, {Slu(2), KeyStakeScript(4)}});
    const auto add = [&](const char* name, const TransactionRef& tx) { transactions.emplace_back(name, tx); };
    add("pay", ledger.Sign(pay));
    add("publish", ledger.Publish(ExamplePublish(), coin));
    add("update", ledger.Update(ExamplePublish(), MakeClaimId(publish2), publish2, coin));
    add("retire", ledger.Sign(ledger.Build({publish2}, {{Amount(10'000), KeyScript(3)}})));
    add("purchase", ledger.Purchase(ledger.ExamplePurchase(publish2), Slu(6), coin));
    add("grant", ledger.Grant(purchase2, Slu(5), coin));
    add("refund", ledger.Refund(purchase));
    add("open", ledger.OpenChannel(ledger.next_height() + ledger.params.channel_window_blocks, Slu(2), coin));
    add("settle", ledger.Settle(channel2, Slu(1), coin));
    add("channel-refund", ledger.Refund(channel));
    RegisterRecord rotation = StakerKeys(4);
    rotation.updates = staker;
    const OutPoint bond = registered->Output(1);
    add("register", RecordAndBond(ledger, {ledger.Fund(Slu(2'000))}, StakerKeys(3)));
    add("rotate", RecordAndBond(ledger, {bond, coin}, rotation));
    add("exit", RecordAndBond(ledger, {bond, coin}, ExitRecord{staker}));
    add("release", ledger.Sign(ledger.Build({left->Output(1)}, {})));
    add("evidence", MakeTransaction(MakeEvidenceTransaction(TwoHeaders(staker, ledger.slot), bond)));
    MutableTransaction redelegate = ledger.Build({stake}, {});
    redelegate.outputs = {{Slu(53), StakeScript(OutputKey(4), staker)}};  // with three of what it earned
    add("redelegate", ledger.Sign(redelegate));
}

LedgerScene& TheLedgerScene() {
    static auto* scene = new LedgerScene;
    return *scene;
}

std::vector<std::pair<std::string, Record>> ExampleRecords() {
    PublishRecord publish = ExamplePublish();
    publish.updates = ClaimId(std::array<uint8_t, 32>{1});
    publish.segments = {{0, TestKey(1).Public(), Slu(1)}, {2, TestKey(2).Public(), Slu(2)}};
    publish.manifest_chunks = 1;
    publish.seed_price_per_mib = Amount(10);
    publish.description = "About it";
    publish.mime = "video/mp4";
    publish.file_name = "film.mp4";
    publish.tags = {"drama", "short"};
    publish.language = "en";
    publish.preview = publish.thumbnail = ContentId{{}, 100};
    publish.profile = Hash256();
    publish.previous = OutPoint{{}, 1};
    publish.endpoints = {"203.0.113.5:9333"};
    PublishRecord free = ExamplePublish();
    free.price = Amount();
    free.free_key = Hash256(std::array<uint8_t, 32>{7});
    RegisterRecord registration;
    registration.updates = kTestStaker;
    registration.signing_key = TestKey(3).XOnly();
    registration.commission_permille = 50;
    registration.payout_script = KeyScript(4);
    BlockHeader first, second;
    second.version = 2;
    return {{"publish", publish},
            {"free", free},
            {"purchase", PurchaseRecord{{{}, 1}, 2, TestKey(5).XOnly(), Height(1000)}},
            {"grant", GrantRecord{{{{}, 1}, {{}, 2}}}},
            {"channel", ChannelRecord{TestKey(6).XOnly(), TestKey(7).XOnly(), Height(5000)}},
            {"settle", SettleRecord{{77, 88}}},
            {"register", registration},
            {"exit", ExitRecord{kTestStaker}},
            {"evidence", EvidenceRecord{first, second}}};
}

BlockHeader ExampleHeader() {
    const Genesis network = BuiltInGenesis("regtest").value();
    const HeaderState root = network.MakeHeaderState();
    const OperatorKeys keys = RegtestOperator(0);
    StakeSnapshot snapshot;
    snapshot.block = network.Hash();
    snapshot.entries.push_back({keys.staker, Slu(1), {}, crypto::VrfPublic(keys.vrf), keys.signing.XOnly(), 0, {}});
    BlockHeader header;
    header.prev = root.hash;
    header.height = Height(1);
    header.slot = Slot(1);
    header.staker = keys.staker;
    std::optional<crypto::VrfProof> proof;
    Electorate electorate(network.params, snapshot, Epoch(0));
    while (!(proof = ProveLeadership(network.params, root, header.slot, electorate, keys))) ++header.slot;
    header.vrf_proof = *proof;
    header.signature = keys.signing.Sign(header.SigningHash(root.hash));
    return header;
}

}  // namespace sluice::fuzz
