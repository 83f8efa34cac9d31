#include "consensus/genesis.h"
#include "consensus/tapscript.h"
#include "fuzz_ledger.h"

namespace sluice::fuzz {
namespace {

using namespace consensus;

// ---- tapscript: any script with any initial stack, truly committed to by the output that is spent

void RunTapscript(ByteSpan bytes) {
    Input input(bytes);
    const uint8_t options = input.Integer();
    const Script leaf = ToBytes(input.Blob());
    WitnessStack stack;
    for (size_t left = input.Below(1100); left > 0 && !input.Empty(); --left)
        stack.push_back(ToBytes(input.Take(input.Integer())));
    consensus::testing::LeafSpend spend(leaf, (options & 1) != 0 ? 0xc2 : 0xc0);
    if ((options & 2) != 0) spend.annex = Bytes{0x50, 1, 2};
    spend.tx.lock_time = 500;
    spend.tx.inputs[0].sequence = 10;
    ScriptFlags flags;
    flags.discourage_upgradable = (options & 4) != 0;
    const auto facts = spend.VerifyScriptPath(stack, flags);
    if (!facts) {
        CHECK(!facts.error().empty());
        return;
    }
    // A leaf of an unknown version is not run.
    CHECK(facts->script_path && facts->leaf_script == ((options & 1) != 0 ? Script() : leaf));
    ScriptFlags relaxed;
    CHECK(spend.VerifyScriptPath(stack, relaxed).has_value());  // policy only ever refuses more
    NoteAccepted();
}

Bytes TapscriptSeed(const std::string& text, const WitnessStack& stack) {
    const Script leaf = consensus::testing::Asm(text);
    Output output;
    output.Integer(uint8_t{0}).Blob(leaf).Integer(static_cast<uint16_t>(stack.size()));
    for (const Bytes& item : stack) output.Integer(static_cast<uint8_t>(item.size())).Raw(item);
    return output.Take();
}

// A script of one CHECKSIG with its valid signature under the transaction of RunTapscript.
Bytes SignedSeed(const std::string& before, const std::string& after) {
    const auto key = consensus::testing::TestKey(uint8_t{3});
    const std::string text = before + " " + consensus::testing::KeyWord(key) + " " + after;
    consensus::testing::LeafSpend spend(consensus::testing::Asm(text));
    spend.tx.lock_time = 500;
    spend.tx.inputs[0].sequence = 10;
    return TapscriptSeed(text, {spend.Sign(key)});
}

std::vector<Seed> TapscriptSeeds() {
    return {{"true", TapscriptSeed("1", {})},
            {"arithmetic", TapscriptSeed("ADD 5 NUMEQUAL", {{2}, {3}})},
            {"branches", TapscriptSeed("IF 2 ELSE NOTIF 0 ENDIF 7 ENDIF DUP 0 WITHIN NOT", {{5}, {1}})},
            {"stack", TapscriptSeed("2DUP 3DUP 2OVER 2ROT 2SWAP IFDUP DEPTH PICK ROLL TUCK TOALTSTACK FROMALTSTACK",
                                    {{1}, {2}, {3}, {4}, {5}, {6}})},
            {"hashes",
             TapscriptSeed("SIZE 3 NUMEQUALVERIFY RIPEMD160 SHA1 SHA256 HASH160 HASH256 SIZE 32 EQUALVERIFY DROP 1",
                           {{1, 2, 3}})},
            {"locks", TapscriptSeed("400 CLTV DROP 5 CSV DROP 1", {})},
            {"checksig", SignedSeed("", "CHECKSIG")},
            {"checksigadd", SignedSeed("0", "CHECKSIGADD 1 NUMEQUAL")},
            {"codeseparator", SignedSeed("", "CHECKSIGVERIFY CODESEPARATOR 1")},
            {"success", TapscriptSeed("0x50", {})},
            {"deep", TapscriptSeed("60*IF 60*ENDIF 1", WitnessStack(60, {1}))}};
}
const Register kTapscript{{"tapscript", RunTapscript, TapscriptSeeds}};

// ---- witness: any witness against fixed outputs, so that control blocks, annexes and key paths are hostile too

struct WitnessScene {
    WitnessScene()
        : lock(*MakeLockTemplate(consensus::testing::TestKey(uint32_t{1}).XOnly(),
                                 consensus::testing::TestKey(uint32_t{2}).XOnly(), Height(100))) {
        tx.inputs.resize(2);
        tx.inputs[0].prevout.index = 1;
        tx.inputs[0].sequence = kLockSpendSequence;
        tx.inputs[1].prevout.index = 2;
        tx.lock_time = 200;
        tx.outputs = {{Amount(500), consensus::testing::KeyScript(3)}};
        spent = {{Amount(1000), lock.output_script}, {Amount(2000), consensus::testing::KeyScript(4)}};
    }
    WitnessStack Signed(size_t index) const {
        const SpendingTransaction spending(tx, spent);
        if (index == 1)
            return {ToBytes(consensus::testing::TestKey(uint32_t{4})
                                .TapTweak(std::nullopt)
                                ->Sign(*spending.SignatureHash(1, kSighashDefault))
                                .bytes)};
        const auto sign = [&](uint32_t key, uint8_t type) {
            return consensus::testing::TestKey(key).Sign(
                *spending.SignatureHash(0, type, ScriptPathData{lock.pay_leaf_hash}));
        };
        return PayWitness(lock, sign(1, consensus::testing::kSingleAnyoneCanPay), sign(2, kSighashDefault));
    }
    LockTemplate lock;
    MutableTransaction tx;
    std::vector<TxOutput> spent;
};
const WitnessScene& TheWitnessScene() {
    static auto* scene = new WitnessScene;
    return *scene;
}

void RunWitness(ByteSpan bytes) {
    Input input(bytes);
    const size_t index = input.Integer() & 1;
    WitnessStack witness;
    while (!input.Empty() && witness.size() < 1100) witness.push_back(ToBytes(input.Blob()));
    const WitnessScene& scene = TheWitnessScene();
    MutableTransaction tx = scene.tx;
    tx.inputs[index].witness = witness;
    (void)FindAnnex(witness);
    const auto facts = VerifyInput(SpendingTransaction(tx, scene.spent), index);
    if (!facts) return;
    // Nobody makes new signatures here: what verifies has exactly the signatures of the seeds.
    for (const uint8_t type : facts->hash_types)
        CHECK(type == kSighashDefault || type == consensus::testing::kSingleAnyoneCanPay);
    NoteAccepted();
}

std::vector<Seed> WitnessSeeds() {
    std::vector<Seed> seeds;
    for (const uint8_t index : {0, 1}) {
        Output output;
        output.Integer(index);
        for (const Bytes& item : TheWitnessScene().Signed(index)) output.Blob(item);
        seeds.push_back({index == 0 ? "pay-leaf" : "key-path", output.Take()});
    }
    return seeds;
}
const Register kWitness{{"witness", RunWitness, WitnessSeeds}};

// ---- apply_transaction: any transaction on a ledger with something of everything. Without the signature work, which
// witness does, so that mutations get deep into the rules.

void RunApplyTransaction(ByteSpan input) {
    const auto decoded = MutableTransaction::FromBytes(input);
    if (!decoded) return;
    const auto& ledger = TheLedgerScene().ledger;
    const TransactionRef tx = MakeTransaction(*decoded);
    StateCache cache(ledger.state);
    const auto effect = ApplyTransaction(ledger.params, ledger.Next(), cache, tx);
    if (!effect) {
        CHECK(!effect.error().code.empty());
        CHECK(cache.Empty());
        return;
    }
    uint64_t before = 0, after = 0;
    const StateDelta delta = cache.Delta();
    for (const StateChange& change : delta.changes) {
        if (change.key[0] != Coin::kTable) continue;
        if (change.before) before += Decode<Coin>(*change.before)->output.value.drops;
        if (change.after) after += Decode<Coin>(*change.after)->output.value.drops;
    }
    CHECK(before + effect->accrued.drops == after + effect->fee.drops + effect->burned.drops);
    CHECK(effect->spends.spent.size() == tx->inputs().size());
    cache.UndoDelta(delta);
    CHECK(cache.Delta().changes.empty());
    NoteAccepted();
}
const Register kApplyTransaction{{"apply_transaction", RunApplyTransaction, [] {
                                      std::vector<Seed> seeds;
                                      for (const auto& [name, tx] : TheLedgerScene().transactions)
                                          seeds.push_back({name, tx->tx().ToBytes()});
                                      return seeds;
                                  }}};

// ---- connect_block: a header and transactions with no root that fits are made to fit, then connected without their
// signatures

void RunConnectBlock(ByteSpan input) {
    auto decoded = Block::FromBytes(input);
    if (!decoded) return;
    const auto& ledger = TheLedgerScene().ledger;
    consensus::testing::Ledger::Reseal(*decoded);
    HeaderState parent, self;
    parent.height = ledger.height;
    parent.slot = ledger.slot;
    parent.epoch = ledger.params.EpochOf(ledger.slot);
    self.height = decoded->header.height;
    self.slot = ledger.Next().slot;
    self.epoch = ledger.params.EpochOf(self.slot);
    decoded->header.slot = self.slot;
    const auto delta =
        ConnectBlock(ledger.params, {parent, self, ledger.snapshot, ledger.previous_snapshot_hash}, ledger.state,
                     *decoded, [](std::span<const SpendCheck>) { return Verdict<void>(); });
    if (!delta) return;
    StateCache cache(ledger.state);
    cache.ApplyDelta(*delta);
    CHECK(cache.Get<LedgerTotals>({})->Conserved());
    cache.UndoDelta(*delta);
    CHECK(cache.Delta().changes.empty());
    NoteAccepted();
}
const Register kConnectBlock{{"connect_block", RunConnectBlock, [] {
                                  LedgerScene& scene = TheLedgerScene();
                                  std::vector<Seed> seeds;
                                  for (const auto& [name, tx] : scene.transactions)
                                      seeds.push_back({name, scene.ledger.MakeBlock({tx}).ToBytes()});
                                  return seeds;
                              }}};

// ---- header: the pipeline from form to VRF

void RunCheckHeader(ByteSpan input) {
    static const auto* network = new Genesis(BuiltInGenesis("regtest").value());
    static const HeaderState root = network->MakeHeaderState();
    static const auto* snapshot = [] {
        const OperatorKeys keys = RegtestOperator(0);
        auto* made = new StakeSnapshot;
        made->block = network->Hash();
        made->entries.push_back(
            {keys.staker, Amount(kDropsPerSlu), {}, crypto::VrfPublic(keys.vrf), keys.signing.XOnly(), 0, {}});
        return made;
    }();
    const auto header = Decode<BlockHeader>(input);
    if (!header || !CheckHeaderForm(network->params, root, *header)) return;
    Electorate electorate(network->params, *snapshot, network->params.EpochOf(header->slot));
    if (electorate.epoch() > Epoch(1)) return;  // elected by another snapshot
    const auto state = CheckHeader(network->params, root.hash, root, *header, electorate);
    if (!state) return;
    CHECK(state->hash == header->Hash());
    CHECK(*header == ExampleHeader());  // any other would be a forged signature or proof
    NoteAccepted();
}
const Register kCheckHeader{{"check_header", RunCheckHeader,
                             [] {
                                 return std::vector<Seed>{{"valid", Encode(ExampleHeader())}};
                             },
                             400}};

// ---- what the node reads back from its own disk: canonical as well, so that damage is seen

void RunState(ByteSpan bytes) {
    Input input(bytes);
    const uint8_t table = input.Integer();
    const ByteSpan rest = input.Rest();
    switch (table % 12) {
        case 0:
            CheckCanonical<StateDelta>(rest);
            break;
        case 1:
            CheckCanonical<Coin>(rest);
            break;
        case 2:
            CheckCanonical<ClaimState>(rest);
            break;
        case 3:
            CheckCanonical<PublishState>(rest);
            break;
        case 4:
            CheckCanonical<PublishExpiry>(rest);
            break;
        case 5:
            CheckCanonical<PurchaseState>(rest);
            break;
        case 6:
            CheckCanonical<ChannelState>(rest);
            break;
        case 7:
            CheckCanonical<StakerState>(rest);
            break;
        case 8:
            CheckCanonical<StakeSnapshot>(rest);
            break;
        case 9:
            CheckCanonical<HeaderState>(rest);
            break;
        case 10:
            CheckCanonical<LedgerTotals>(rest);
            break;
        default:
            CheckCanonical<StakerList>(rest);
            break;
    }
}

std::vector<Seed> StateSeeds() {
    auto& ledger = TheLedgerScene().ledger;
    StateDelta delta;
    std::vector<Seed> seeds;
    const auto add = [&](const char* name, uint8_t table, const Bytes& value) {
        seeds.push_back({name, Output().Integer(table).Raw(value).Take()});
    };
    for (const auto& [key, value] : ledger.state.entries) {
        const std::optional<Bytes> before = delta.changes.size() % 2 == 0 ? std::nullopt : std::optional(Bytes{1});
        if (delta.changes.size() < 6) delta.changes.push_back({key, before, value});
        const char letter = static_cast<char>(key[0]);
        if (letter == Coin::kTable) add("coin", 1, value);
        if (letter == ClaimState::kTable) add("claim", 2, value);
        if (letter == PublishState::kTable) add("publish", 3, value);
        if (letter == PurchaseState::kTable) add("purchase", 5, value);
        if (letter == ChannelState::kTable) add("channel", 6, value);
        if (letter == StakerState::kTable) add("staker", 7, value);
        if (letter == LedgerTotals::kTable) add("totals", 10, value);
    }
    add("delta", 0, Encode(delta));
    add("expiry", 4, Encode(PublishExpiry{{{{}, 1}}}));
    add("snapshot", 8, Encode(ledger.snapshot));
    add("header-state", 9, Encode(HeaderState{}));
    add("stakers", 11, Encode(StakerList{{consensus::testing::kTestStaker}}));
    return seeds;
}
const Register kState{{"state", RunState, StateSeeds}};

}  // namespace
}  // namespace sluice::fuzz
