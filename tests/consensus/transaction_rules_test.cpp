#include "ledger_fixture.h"

namespace sluice::consensus {
namespace {

using testing::KeyScript;
using testing::KeyStakeScript;
using testing::kTestStaker;
using testing::Ledger;
using testing::Slu;

std::string FormCode(const MutableTransaction& tx) {
    const auto verdict = CheckTransaction(testing::TestParams(), *MakeTransaction(tx));
    return verdict ? "" : verdict.error().code;
}

MutableTransaction Simple() {
    MutableTransaction tx;
    tx.inputs.push_back({OutPoint{Txid{{1}}, 0}, {}, 0xffffffff, {Bytes(64, 1)}});
    tx.outputs.push_back({Amount(1'000), KeyScript(1)});
    return tx;
}

TEST(CheckTransaction, AcceptsAPayment) { EXPECT_EQ(FormCode(Simple()), ""); }

TEST(CheckTransaction, NeedsInputsAndOutputs) {
    MutableTransaction tx = Simple();
    tx.inputs.clear();
    EXPECT_EQ(FormCode(tx), "bad-txns-vin-empty");
    tx = Simple();
    tx.outputs.clear();
    EXPECT_EQ(FormCode(tx), "bad-txns-vout-empty");
}

TEST(CheckTransaction, VersionIsOneToThree) {
    MutableTransaction tx = Simple();
    for (const int32_t version : {1, 2, 3}) {
        tx.version = version;
        EXPECT_EQ(FormCode(tx), "") << version;
    }
    for (const int32_t version : {-1, 0, 4}) {
        tx.version = version;
        EXPECT_EQ(FormCode(tx), "bad-txns-version") << version;
    }
}

TEST(CheckTransaction, NoInputIsNullOrSpentTwiceOrHasAScript) {
    MutableTransaction tx = Simple();
    tx.inputs.push_back(tx.inputs[0]);
    EXPECT_EQ(FormCode(tx), "bad-txns-inputs-duplicate");
    tx.inputs[1].prevout.index = 1;
    EXPECT_EQ(FormCode(tx), "");
    tx.inputs[1].prevout = kNullOutPoint;
    EXPECT_EQ(FormCode(tx), "bad-txns-prevout-null");
    tx = Simple();
    tx.inputs[0].script_sig = {0x51};
    EXPECT_EQ(FormCode(tx), "bad-txns-scriptsig");
}

TEST(CheckTransaction, OutputsAndTheirSumAreWithinTheSupply) {
    MutableTransaction tx = Simple();
    tx.outputs[0].value = kMaxSupply;
    EXPECT_EQ(FormCode(tx), "");
    tx.outputs[0].value.drops += 1;
    EXPECT_EQ(FormCode(tx), "bad-txns-vout-toolarge");
    tx.outputs[0].value = Amount(kMaxSupply.drops - 1);
    tx.outputs.push_back({Amount(1), KeyScript(2)});
    EXPECT_EQ(FormCode(tx), "");
    tx.outputs[1].value = Amount(2);
    EXPECT_EQ(FormCode(tx), "bad-txns-txouttotal-toolarge");
    tx.outputs[1].value = Amount(UINT64_MAX);
    EXPECT_EQ(FormCode(tx), "bad-txns-vout-toolarge");
}

TEST(CheckTransaction, SixtyFourStrippedBytesAreForbidden) {
    MutableTransaction tx = Simple();
    for (const size_t script_bytes : {3, 4, 5}) {
        tx.outputs[0] = {Amount(0), Script(script_bytes, 0x51)};
        ASSERT_EQ(MakeTransaction(tx)->stripped_bytes(), 60 + script_bytes);
        EXPECT_EQ(FormCode(tx), script_bytes == 4 ? "bad-txns-stripped-64" : "bad-txns-output-script");
    }
}

TEST(CheckTransaction, WeightIsAtMostThatOfABlock) {
    MutableTransaction tx = Simple();
    tx.inputs[0].witness = {Bytes(70'000, 1)};
    const size_t rest = MakeTransaction(tx)->weight() - 70'000;
    tx.inputs[0].witness = {Bytes(kMaxBlockWeight - rest, 1)};
    ASSERT_EQ(MakeTransaction(tx)->weight(), kMaxBlockWeight);
    EXPECT_EQ(FormCode(tx), "");
    tx.inputs[0].witness[0].push_back(1);
    EXPECT_EQ(FormCode(tx), "bad-txns-oversize");
}

TEST(CheckTransaction, OutputsAreTaprootStakeOrRecord) {
    MutableTransaction tx = Simple();
    tx.outputs[0].script = KeyStakeScript(1);
    EXPECT_EQ(FormCode(tx), "");
    tx.outputs[0].script = TaprootScript(testing::OffCurveKey());  // unspendable, its owner's loss
    EXPECT_EQ(FormCode(tx), "");
    const Script refused[] = {{},
                              {kOp1},
                              ScriptBuilder().Op(kOp0).Push(Bytes(20, 1)).Take(),
                              ScriptBuilder().Op(0x52).Push(Bytes(32, 1)).Take(),
                              ScriptBuilder().Op(kOp1).Push(Bytes(33, 1)).Take(),
                              ScriptBuilder().Op(kOp14).Push(Bytes(39, 1)).Take(),
                              Script{kOpReturn}};
    for (const Script& script : refused) {
        tx.outputs[0].script = script;
        EXPECT_EQ(FormCode(tx), "bad-txns-output-script") << HexEncode(script);
    }
}

TEST(CheckTransaction, AnnexIsRefusedWithoutAPurchase) {
    MutableTransaction tx = Simple();
    tx.inputs[0].witness.push_back(Ledger::PurchaseAnnex());
    EXPECT_EQ(FormCode(tx), "bad-annex");
    tx.inputs[0].witness.back()[0] = 0x51;  // no annex but a control block that fits nothing
    EXPECT_EQ(FormCode(tx), "");
}

TEST(ApplyTransaction, MovesCoinsAndPaysTheFee) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(5));
    const auto tx = ledger.Sign(ledger.Build({coin}, {{Slu(2), KeyScript(1)}}, Amount(777)));
    const auto effect = ledger.Try(tx);
    ASSERT_TRUE(effect.has_value()) << effect.error().ToString();
    EXPECT_EQ(effect->fee, Amount(777));
    EXPECT_EQ(effect->burned, Amount(0));
    StateCache cache(ledger.state);
    ASSERT_TRUE(ApplyTransaction(ledger.params, ledger.Next(), cache, tx));
    EXPECT_EQ(cache.Get<Coin>(coin), std::nullopt);
    EXPECT_EQ(cache.Get<Coin>(tx->Output(0)),
              (Coin{{Slu(2), KeyScript(1)}, Height(101), Slot(302), false, CoinKind::kPlain}));
    EXPECT_EQ(ApplyTransaction(ledger.params, ledger.Next(), cache, tx).error().code, "bad-txns-inputs-missingorspent");
}

TEST(ApplyTransaction, MissingInputsAreToldApartFromFaults) {
    Ledger ledger;
    const OutPoint nowhere{Txid{{1}}, 0};
    ledger.known[nowhere] = {Slu(1), KeyScript(0)};
    const auto effect = ledger.Try(ledger.Sign(ledger.Build({nowhere}, {})));
    ASSERT_FALSE(effect.has_value());
    EXPECT_EQ(effect.error().code, "bad-txns-inputs-missingorspent");
    EXPECT_EQ(effect.error().what, Invalid::What::kMissingInputs);
}

TEST(ApplyTransaction, OutputsAreAtMostTheInputs) {
    Ledger ledger;
    const OutPoint coin = ledger.Fund(Slu(1));
    MutableTransaction tx = ledger.Build({coin}, {}, Amount(0));
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.outputs[0].value.drops += 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-txns-in-belowout");
}

TEST(ApplyTransaction, InputsSumWithinTheSupply) {
    Ledger ledger;
    const OutPoint a = ledger.Fund(kMaxSupply), b = ledger.Fund(Amount(1));
    MutableTransaction tx = ledger.Build({a, b}, {}, Amount(1));
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-txns-inputvalues-outofrange");
}

TEST(ApplyTransaction, RecordsBurnTheirFeeToTheDrop) {
    Ledger ledger;
    const auto record = testing::ExamplePublish();
    const size_t bytes = EncodeRecord(record).size();
    const OutPoint coin = ledger.Fund(Slu(10));
    MutableTransaction tx = ledger.Build({coin}, {Ledger::RecordOutput(record), {Slu(1), KeyScript(1)}}, Amount(0));
    const auto effect = ledger.Try(ledger.Sign(tx));
    ASSERT_TRUE(effect.has_value()) << effect.error().ToString();
    EXPECT_EQ(effect->fee, Amount(0));
    EXPECT_EQ(effect->burned, Amount(bytes * ledger.params.record_fee_per_byte.drops));
    EXPECT_EQ(effect->record_bytes, bytes);
    tx.outputs[2].value.drops += 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "bad-record-fee");
}

TEST(ApplyTransaction, CoinbaseMaturesAfterKBlocks) {
    Ledger ledger;
    Coin coin;
    coin.coinbase = true;
    coin.height = ledger.next_height() - ledger.params.k;
    const OutPoint mature = ledger.Fund({Slu(1), KeyScript(0)}, coin);
    coin.height = coin.height + 1;
    const OutPoint young = ledger.Fund({Slu(1), KeyScript(0)}, coin);
    EXPECT_EQ(ledger.Code(ledger.Sign(ledger.Build({mature}, {}))), "");
    const auto effect = ledger.Try(ledger.Sign(ledger.Build({young}, {})));
    EXPECT_EQ(effect.error().code, "bad-txns-premature-spend-of-coinbase");
    EXPECT_EQ(effect.error().what, Invalid::What::kPremature);
}

TEST(ApplyTransaction, LockHeightIsBelowTheBlocksHeight) {
    Ledger ledger;
    MutableTransaction tx = ledger.Build({ledger.Fund(Slu(1))}, {});
    tx.inputs[0].sequence = 0xfffffffe;
    tx.lock_time = ledger.next_height().value - 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.lock_time += 1;
    EXPECT_EQ(ledger.Try(ledger.Sign(tx)).error().what, Invalid::What::kPremature);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-final");
    tx.inputs[0].sequence = 0xffffffff;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
}

TEST(ApplyTransaction, LockTimeIsBelowTheParentsTime) {
    Ledger ledger;
    MutableTransaction tx = ledger.Build({ledger.Fund(Slu(1))}, {});
    tx.inputs[0].sequence = 0xfffffffe;
    tx.lock_time = static_cast<uint32_t>(1'700'000'000 + ledger.slot.value - 1);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.lock_time += 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-final");
    tx.lock_time = 499'999'999;  // the last that is a height
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-final");
    tx.lock_time = 500'000'000;  // the first that is a time, long past
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
}

TEST(ApplyTransaction, RelativeHeightCountsFromTheCoin) {
    Ledger ledger;
    Coin coin;
    coin.height = Height(90);
    MutableTransaction tx = ledger.Build({ledger.Fund({Slu(1), KeyScript(0)}, coin)}, {});
    tx.inputs[0].sequence = 11;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.inputs[0].sequence = 12;
    EXPECT_EQ(ledger.Try(ledger.Sign(tx)).error().what, Invalid::What::kPremature);
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-BIP68-final");
    tx.inputs[0].sequence = 12 | 1u << 31;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.inputs[0].sequence = 12;
    tx.version = 1;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.version = 2;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-BIP68-final");
}

TEST(ApplyTransaction, RelativeTimeCountsFromTheCoinsSlotToTheParents) {
    Ledger ledger;
    ledger.slot = Slot(2'000);
    Coin coin;
    coin.slot = Slot(2'000 - 2 * 512);
    MutableTransaction tx = ledger.Build({ledger.Fund({Slu(1), KeyScript(0)}, coin)}, {});
    tx.inputs[0].sequence = 1u << 22 | 2;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
    tx.inputs[0].sequence = 1u << 22 | 3;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-BIP68-final");
    coin.slot = coin.slot + 1;
    tx = ledger.Build({ledger.Fund({Slu(1), KeyScript(0)}, coin)}, {});
    tx.inputs[0].sequence = 1u << 22 | 2;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "non-BIP68-final");
    coin.slot = ledger.Next().slot;  // made in the same block
    tx = ledger.Build({ledger.Fund({Slu(1), KeyScript(0)}, coin)}, {});
    tx.inputs[0].sequence = 1u << 22;
    EXPECT_EQ(ledger.Code(ledger.Sign(tx)), "");
}

TEST(ApplyTransaction, StakeFollowsItsOutputs) {
    Ledger ledger;
    const auto stake_of = [](const StateReader& state) { return state.Get<StakerState>(kTestStaker)->stake.total; };
    const auto made = ledger.Sign(ledger.Build({ledger.Fund(Slu(9))}, {{Slu(4), KeyStakeScript(3)}}));
    ledger.Connect({made});
    EXPECT_EQ(stake_of(ledger.state), Slu(4));
    EXPECT_EQ(ledger.state.Get<StakerState>(kTestStaker)->stake.MadeIn(Epoch(1)), Slu(4));
    const auto spent = ledger.Sign(ledger.Build({made->Output(0)}, {{Slu(1), KeyStakeScript(3)}}));
    ledger.Connect({spent});
    EXPECT_EQ(stake_of(ledger.state), Slu(1));
}

TEST(ApplyTransaction, StakeToAnUnknownStakerIsInertAndSpendable) {
    Ledger ledger;
    const StakerId unknown{{9}};
    const auto made =
        ledger.Sign(ledger.Build({ledger.Fund(Slu(9))}, {{Slu(4), StakeScript(testing::OutputKey(3), unknown)}}));
    ledger.Connect({made});
    EXPECT_EQ(ledger.state.Get<StakerState>(unknown), std::nullopt);
    ledger.Connect({ledger.Sign(ledger.Build({made->Output(0)}, {}))});
}

TEST(SpendCheck, RefusesAWrongOrMissingSignature) {
    Ledger ledger;
    MutableTransaction tx = ledger.Build({ledger.Fund(Slu(1))}, {});
    const auto good = ledger.Sign(tx);
    tx = good->tx();
    tx.inputs[0].witness[0][5] ^= 1;
    EXPECT_EQ(ledger.Code(MakeTransaction(tx)), "mandatory-script-verify-flag-failed");
    tx.inputs[0].witness.clear();
    EXPECT_EQ(ledger.Code(MakeTransaction(tx)), "mandatory-script-verify-flag-failed");
    tx = good->tx();
    tx.outputs[0].value.drops -= 1;
    EXPECT_EQ(ledger.Code(MakeTransaction(tx)), "mandatory-script-verify-flag-failed");
}

TEST(SpendCheck, WithoutARecordEveryHashTypeIsFree) {
    Ledger ledger;
    const MutableTransaction tx = ledger.Build({ledger.Fund(Slu(1))}, {});
    for (const uint8_t type : {0x00, 0x01, 0x02, 0x03, 0x81, 0x82, 0x83})
        EXPECT_EQ(ledger.Code(ledger.Sign(tx, type)), "") << int{type};
}

TEST(SpendCheck, ARecordIsSignedDefaultOrAll) {
    Ledger ledger;
    const MutableTransaction tx =
        ledger.Build({ledger.Fund(Slu(9))}, {Ledger::RecordOutput(testing::ExamplePublish()), {Slu(1), KeyScript(1)}});
    for (const uint8_t type : {0x00, 0x01}) EXPECT_EQ(ledger.Code(ledger.Sign(tx, type)), "") << int{type};
    for (const uint8_t type : {0x02, 0x03, 0x81, 0x82, 0x83})
        EXPECT_EQ(ledger.Code(ledger.Sign(tx, type)), "bad-record-sighash") << int{type};
}

TEST(SpendCheck, ARecordIsNotCarriedByScriptsWithoutSignature) {
    Ledger ledger;
    // A taproot output with one leaf, OP_1: anyone can spend it.
    const Script leaf{kOp1};
    const auto output = *crypto::TapTweak(crypto::kNumsKey, TapLeafHash(leaf));
    const OutPoint open = ledger.Fund({Slu(9), TaprootScript(output.key)}, {});
    Bytes control = ToBytes(crypto::kNumsKey.bytes);
    control.insert(control.begin(), static_cast<uint8_t>(0xc0 | (output.odd_y ? 1 : 0)));
    const auto spend = [&](std::vector<OutPoint> inputs, std::vector<TxOutput> outputs) {
        MutableTransaction tx = ledger.Build(inputs, std::move(outputs));
        tx.inputs[0].witness = {leaf, control};
        return ledger.Sign(std::move(tx));
    };
    const std::vector<TxOutput> publish{Ledger::RecordOutput(testing::ExamplePublish()), {Slu(1), KeyScript(1)}};
    EXPECT_EQ(ledger.Code(spend({open}, {})), "");
    EXPECT_EQ(ledger.Code(spend({open}, publish)), "bad-record-unsigned");
    EXPECT_EQ(ledger.Code(spend({open, ledger.Fund(Slu(1))}, publish)), "");
}

}  // namespace
}  // namespace sluice::consensus
